#include "moge/text/jinja_parse_expr.h"

#include <algorithm>

#include "moge/text/jinja_text.h"

namespace moge::text::jinja {

namespace {

constexpr int kMaxHeight = 400;

/// Makes `parent` one taller than the child it gets.
void hold(Expr& parent, const ExprPtr& child) {
  if (child) parent.height = std::max(parent.height, child->height + 1);
  check(parent.height <= kMaxHeight,
        "[chat template] line {}: an expression of more than {} levels", parent.line, kMaxHeight);
}

void hold(Expr& parent, const CallArguments& arguments) {
  for (const ExprPtr& value : arguments.positional) hold(parent, value);
  for (const auto& [name, value] : arguments.named) hold(parent, value);
  hold(parent, arguments.star);
  hold(parent, arguments.double_star);
}

ExprPtr make_binary(int line, std::string op, ExprPtr left, ExprPtr right) {
  auto node = std::make_unique<BinaryExpr>(line);
  node->op = std::move(op);
  hold(*node, left);
  hold(*node, right);
  node->left = std::move(left);
  node->right = std::move(right);
  return node;
}

ExprPtr make_unary(int line, char op, ExprPtr operand) {
  auto node = std::make_unique<UnaryExpr>(line);
  node->op = op;
  hold(*node, operand);
  node->operand = std::move(operand);
  return node;
}

bool is_comparison(const Token& token) {
  return token.is_op("==") || token.is_op("!=") || token.is_op("<") || token.is_op("<=") ||
         token.is_op(">") || token.is_op(">=");
}

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kEnd:
      return "the end of the template";
    case TokenKind::kBlockEnd:
      return "the end of the tag";
    case TokenKind::kOutputEnd:
      return "the end of the expression";
    case TokenKind::kString:
      return "a string";
    default:
      return "'" + token.text + "'";
  }
}

const std::string* literal(const CallArguments& arguments, size_t i) {
  if (i >= arguments.positional.size()) return nullptr;
  const auto* value = dynamic_cast<const ConstExpr*>(arguments.positional[i].get());
  return value && value->value.is_string() ? &value->value.str() : nullptr;
}

}  // namespace

ExprParser::Nest::Nest(ExprParser& p) : parser(p) {
  if (++parser.depth_ > kMaxNesting) {
    parser.refuse(parser.current().line, fmt::format("nested deeper than {} levels", kMaxNesting));
  }
}

const Token& ExprParser::advance() {
  const Token& token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool ExprParser::skip_op(std::string_view op) {
  if (!current().is_op(op)) return false;
  advance();
  return true;
}

bool ExprParser::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  advance();
  return true;
}

void ExprParser::expect_op(std::string_view op) {
  if (!skip_op(op)) unexpected(fmt::format("'{}'", op));
}

std::string ExprParser::expect_name(std::string_view what) {
  if (current().kind != TokenKind::kName) unexpected(what);
  return advance().text;
}

void ExprParser::refuse(int line, std::string_view sentence) const {
  fail("[chat template] line {}: {}", line, sentence);
}

void ExprParser::unexpected(std::string_view want) const {
  refuse(current().line, fmt::format("got {}, want {}", describe(current()), want));
}

ExprPtr ExprParser::parse_expression() {
  const Nest nest(*this);
  const int line = current().line;
  ExprPtr value = parse_or();
  while (skip_name("if")) {
    auto node = std::make_unique<ConditionalExpr>(line);
    node->condition = parse_or();
    if (skip_name("else")) node->otherwise = parse_expression();
    node->then = std::move(value);
    hold(*node, node->condition);
    hold(*node, node->then);
    hold(*node, node->otherwise);
    value = std::move(node);
  }
  return value;
}

ExprPtr ExprParser::parse_or() {
  ExprPtr left = parse_and();
  while (current().is_name("or")) {
    const int line = advance().line;
    left = make_binary(line, "or", std::move(left), parse_and());
  }
  return left;
}

ExprPtr ExprParser::parse_and() {
  ExprPtr left = parse_not();
  while (current().is_name("and")) {
    const int line = advance().line;
    left = make_binary(line, "and", std::move(left), parse_not());
  }
  return left;
}

ExprPtr ExprParser::parse_not() {
  if (!current().is_name("not")) return parse_compare();
  const Nest nest(*this);
  const int line = advance().line;
  return make_unary(line, '!', parse_not());
}

ExprPtr ExprParser::parse_compare() {
  auto node = std::make_unique<CompareExpr>(current().line);
  node->first = parse_sum();
  while (true) {
    std::string op;
    if (is_comparison(current()) || current().is_name("in")) {
      op = advance().text;
    } else if (current().is_name("not") && look().is_name("in")) {
      advance(), advance();
      op = "not in";
    } else {
      break;
    }
    node->rest.emplace_back(op, parse_sum());
    hold(*node, node->rest.back().second);
  }
  if (node->rest.empty()) return std::move(node->first);
  hold(*node, node->first);
  return node;
}

template <class Parse>
ExprPtr ExprParser::left_to_right(std::initializer_list<std::string_view> ops, Parse parse) {
  ExprPtr left = parse();
  const auto is_one = [&](std::string_view op) { return current().is_op(op); };
  while (std::any_of(ops.begin(), ops.end(), is_one)) {
    const Token& op = advance();
    left = make_binary(op.line, op.text, std::move(left), parse());
  }
  return left;
}

ExprPtr ExprParser::parse_sum() {
  return left_to_right({"+", "-"}, [this] { return parse_concat(); });
}

ExprPtr ExprParser::parse_concat() {
  const int line = current().line;
  ExprPtr first = parse_product();
  if (!current().is_op("~")) return first;
  auto node = std::make_unique<ConcatExpr>(line);
  hold(*node, first);
  node->parts.push_back(std::move(first));
  while (skip_op("~")) {
    node->parts.push_back(parse_product());
    hold(*node, node->parts.back());
  }
  return node;
}

ExprPtr ExprParser::parse_product() {
  return left_to_right({"*", "/", "//", "%"}, [this] { return parse_power(); });
}

ExprPtr ExprParser::parse_power() {
  return left_to_right({"**"}, [this] { return parse_unary(/*with_filters=*/true); });
}

ExprPtr ExprParser::parse_unary(bool with_filters) {
  ExprPtr node;
  if (current().is_op("-") || current().is_op("+")) {
    const Nest nest(*this);
    const Token& op = advance();
    node = make_unary(op.line, op.text[0], parse_unary(/*with_filters=*/false));
  } else {
    node = parse_primary();
  }
  node = parse_postfix(std::move(node));
  return with_filters ? parse_suffixes(std::move(node)) : std::move(node);
}

ExprPtr ExprParser::parse_primary() {
  const Token& token = current();
  switch (token.kind) {
    case TokenKind::kName:
      return parse_name();
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      advance();
      return std::make_unique<ConstExpr>(token.line, token.number);
    case TokenKind::kString: {
      std::string text;
      while (current().kind == TokenKind::kString) text += advance().text;
      return std::make_unique<ConstExpr>(token.line, Value::text(std::move(text)));
    }
    default:
      break;
  }
  if (skip_op("(")) {
    ExprPtr inner = parse_tuple(/*conditional=*/true, /*in_parentheses=*/true);
    expect_op(")");
    return inner;
  }
  if (token.is_op("[")) return parse_list();
  if (token.is_op("{")) return parse_dict();
  unexpected("an expression");
}

ExprPtr ExprParser::parse_name() {
  const Token& token = advance();
  const std::string& name = token.text;
  if (name == "true" || name == "True") return std::make_unique<ConstExpr>(token.line, true);
  if (name == "false" || name == "False") return std::make_unique<ConstExpr>(token.line, false);
  if (name == "none" || name == "None") return std::make_unique<ConstExpr>(token.line, None{});
  for (MacroCode* macro : macros_) {
    macro->uses_varargs |= name == "varargs";
    macro->uses_kwargs |= name == "kwargs";
    macro->uses_caller |= name == "caller";
  }
  return std::make_unique<NameExpr>(token.line, name);
}

ExprPtr ExprParser::parse_tuple(bool conditional, bool in_parentheses) {
  const auto at_end = [this] {
    return current().kind == TokenKind::kOutputEnd || current().kind == TokenKind::kBlockEnd ||
           current().is_op(")");
  };
  auto node = std::make_unique<SeqExpr>(current().line, SeqKind::kTuple);
  bool is_tuple = false;
  while (!at_end()) {
    node->items.push_back(conditional ? parse_expression() : parse_or());
    hold(*node, node->items.back());
    if (!skip_op(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && node->items.size() == 1) return std::move(node->items[0]);
  if (!is_tuple && !in_parentheses) unexpected("an expression");
  return node;
}

ExprPtr ExprParser::parse_list() {
  auto node = std::make_unique<SeqExpr>(current().line, SeqKind::kList);
  expect_op("[");
  while (!current().is_op("]")) {
    if (!node->items.empty()) expect_op(",");
    if (current().is_op("]")) break;
    node->items.push_back(parse_expression());
    hold(*node, node->items.back());
  }
  expect_op("]");
  return node;
}

ExprPtr ExprParser::parse_dict() {
  auto node = std::make_unique<DictExpr>(current().line);
  expect_op("{");
  while (!current().is_op("}")) {
    if (!node->items.empty()) expect_op(",");
    if (current().is_op("}")) break;
    if (current().kind == TokenKind::kString) attributes_.insert(current().text);
    ExprPtr key = parse_expression();
    expect_op(":");
    ExprPtr value = parse_expression();
    hold(*node, key);
    hold(*node, value);
    node->items.emplace_back(std::move(key), std::move(value));
  }
  expect_op("}");
  return node;
}

ExprPtr ExprParser::parse_postfix(ExprPtr object) {
  while (true) {
    if (current().is_op(".")) {
      object = parse_attribute(std::move(object));
    } else if (current().is_op("[")) {
      object = parse_subscript(std::move(object));
    } else if (current().is_op("(")) {
      object = finish_call(std::move(object));
    } else {
      return object;
    }
  }
}

/// Filters, tests and calls of their results.
ExprPtr ExprParser::parse_suffixes(ExprPtr subject) {
  while (true) {
    if (current().is_op("|")) {
      subject = parse_filters(std::move(subject), /*first_has_pipe=*/true);
    } else if (current().is_name("is")) {
      subject = parse_test(std::move(subject));
    } else if (current().is_op("(")) {
      subject = finish_call(std::move(subject));
    } else {
      return subject;
    }
  }
}

ExprPtr ExprParser::parse_attribute(ExprPtr object) {
  const int line = advance().line;
  if (current().kind == TokenKind::kInteger) {
    auto node = std::make_unique<ItemExpr>(line);
    node->index = std::make_unique<ConstExpr>(line, advance().number);
    hold(*node, object);
    node->object = std::move(object);
    return node;
  }
  auto node = std::make_unique<AttributeExpr>(line);
  node->name = expect_name("a name or a number behind the dot");
  hold(*node, object);
  node->object = std::move(object);
  return node;
}

ExprPtr ExprParser::parse_subscript(ExprPtr object) {
  const int line = current().line;
  expect_op("[");
  ExprPtr node = parse_slice_or_index(std::move(object), line);
  expect_op("]");
  return node;
}

ExprPtr ExprParser::parse_slice_or_index(ExprPtr object, int line) {
  ExprPtr first;
  if (!current().is_op(":")) first = parse_expression();
  if (!current().is_op(":")) {
    auto node = std::make_unique<ItemExpr>(line);
    hold(*node, object);
    hold(*node, first);
    node->object = std::move(object);
    node->index = std::move(first);
    return node;
  }
  auto node = std::make_unique<SliceExpr>(line);
  expect_op(":");
  const auto at_bound = [this] { return !current().is_op(":") && !current().is_op("]"); };
  if (at_bound()) node->stop = parse_expression();
  if (skip_op(":") && at_bound()) node->stride = parse_expression();
  node->start = std::move(first);
  for (const ExprPtr* part : {&node->start, &node->stop, &node->stride}) hold(*node, *part);
  hold(*node, object);
  node->object = std::move(object);
  return node;
}

CallArguments ExprParser::parse_arguments() {
  CallArguments out;
  expect_op("(");
  bool first = true;
  while (!current().is_op(")")) {
    if (!first) expect_op(",");
    first = false;
    if (current().is_op(")")) break;
    if (skip_op("*")) {
      if (out.star || out.double_star) unexpected("no second *");
      out.star = parse_expression();
    } else if (skip_op("**")) {
      if (out.double_star) unexpected("no second **");
      out.double_star = parse_expression();
    } else if (current().kind == TokenKind::kName && look().is_op("=")) {
      const int line = current().line;
      std::string name = advance().text;
      expect_op("=");
      const auto same = [&](const auto& other) { return other.first == name; };
      if (out.double_star || std::any_of(out.named.begin(), out.named.end(), same)) {
        refuse(line, fmt::format("argument '{}' is given twice or behind **", name));
      }
      out.named.emplace_back(std::move(name), parse_expression());
    } else {
      if (!out.named.empty() || out.star || out.double_star) unexpected("a named argument");
      out.positional.push_back(parse_expression());
    }
  }
  expect_op(")");
  return out;
}

ExprPtr ExprParser::parse_call() {
  ExprPtr callee = parse_expression();
  if (!dynamic_cast<CallExpr*>(callee.get())) refuse(callee->line, "a call block needs a call");
  return callee;
}

ExprPtr ExprParser::finish_call(ExprPtr callee) {
  auto node = std::make_unique<CallExpr>(current().line);
  node->arguments = parse_arguments();
  hold(*node, node->arguments);
  hold(*node, callee);
  node->callee = std::move(callee);
  note_names(*node);
  return node;
}

void ExprParser::note_names(const CallExpr& call) {
  if (const auto* name = dynamic_cast<const NameExpr*>(call.callee.get())) {
    called_names_.push_back({name->name, call.line});
    if (name->name != "namespace" && name->name != "dict") return;
    for (const auto& [key, value] : call.arguments.named) attributes_.insert(key);
  } else if (const auto* method = dynamic_cast<const AttributeExpr*>(call.callee.get())) {
    called_attributes_.push_back({method->name, call.line});
  }
}

void ExprParser::check_calls() const {
  for (const Called& call : called_names_) {
    if (find_function(call.name) || assigned_.contains(call.name)) continue;
    refuse(call.line, fmt::format("unknown function '{}'", call.name));
  }
  for (const Called& call : called_attributes_) {
    if (is_method_name(call.name) || attributes_.contains(call.name)) continue;
    refuse(call.line, fmt::format("unknown method '{}'", call.name));
  }
}

ExprPtr ExprParser::parse_filters(ExprPtr subject, bool first_has_pipe) {
  bool has_pipe = first_has_pipe;
  while (current().is_op("|") || !has_pipe) {
    if (has_pipe) advance();
    has_pipe = true;
    auto node = std::make_unique<FilterExpr>(current().line);
    const std::string name = expect_name("the name of a filter");
    node->filter = find_filter(name);
    if (!node->filter) refuse(node->line, fmt::format("unknown filter '{}'", name));
    if (current().is_op("(")) node->arguments = parse_arguments();
    check_builtin(node->line, "filter", name, node->filter->parameters, node->filter->required,
                  node->arguments);
    check_variadic(*node);
    hold(*node, node->arguments);
    hold(*node, subject);
    node->subject = std::move(subject);
    subject = std::move(node);
  }
  return subject;
}

/// map('filter') and select('test') name their builtins in strings.
void ExprParser::check_variadic(const FilterExpr& filter) const {
  const std::string_view name = filter.filter->name;
  if (name == "map") {
    const std::string* inner = literal(filter.arguments, 0);
    if (inner && !find_filter(*inner))
      refuse(filter.line, "unknown filter '" + *inner + "' in map");
    return;
  }
  const bool attribute = name == "selectattr" || name == "rejectattr";
  if (!attribute && name != "select" && name != "reject") return;
  const std::string* inner = literal(filter.arguments, attribute ? 1 : 0);
  if (inner && !find_test(*inner)) {
    refuse(filter.line, fmt::format("unknown test '{}' in {}", *inner, name));
  }
}

void ExprParser::check_builtin(int line, std::string_view what, std::string_view name,
                               std::string_view parameters, int required,
                               const CallArguments& arguments) const {
  if (arguments.star || arguments.double_star) return;
  std::vector<std::string_view> names;
  for (const auto& [key, value] : arguments.named) names.push_back(key);
  const std::string wrong =
      check_call(name, parameters, required, arguments.positional.size(), names);
  if (!wrong.empty()) refuse(line, fmt::format("{} {}", what, wrong));
}

ExprPtr ExprParser::parse_test(ExprPtr subject) {
  auto node = std::make_unique<TestExpr>(advance().line);
  node->negated = skip_name("not");
  const std::string name = expect_name("the name of a test");
  node->test = find_test(name);
  if (!node->test) refuse(node->line, fmt::format("unknown test '{}'", name));
  const Token& next = current();
  const bool is_value = next.kind == TokenKind::kString || next.kind == TokenKind::kInteger ||
                        next.kind == TokenKind::kFloat || next.is_op("[") || next.is_op("{");
  const bool is_name = next.kind == TokenKind::kName && !next.is_name("else") &&
                       !next.is_name("or") && !next.is_name("and");
  if (next.is_op("(")) {
    node->arguments = parse_arguments();
  } else if (is_value || is_name) {
    if (next.is_name("is")) refuse(next.line, "tests cannot be chained with 'is'");
    node->arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  check_builtin(node->line, "test", name, node->test->parameters, node->test->required,
                node->arguments);
  hold(*node, node->arguments);
  hold(*node, subject);
  node->subject = std::move(subject);
  return node;
}

}  // namespace moge::text::jinja
