#include "moge/text/jinja_parser.h"

#include <algorithm>

#include "moge/text/jinja_parse_expr.h"

namespace moge::text::jinja {

namespace {

using Ends = std::initializer_list<std::string_view>;

class StmtParser : public ExprParser {
 public:
  using ExprParser::ExprParser;

  Body run() {
    Body body = parse_body({});
    if (current().kind != TokenKind::kEnd) unexpected("no end tag");
    check_calls();
    return body;
  }

 private:
  bool at_tag(Ends ends) const {
    return current().kind == TokenKind::kBlockBegin &&
           std::any_of(ends.begin(), ends.end(),
                       [this](std::string_view end) { return look().is_name(end); });
  }

  void end_tag() {
    if (current().kind != TokenKind::kBlockEnd) unexpected("the end of the tag");
    advance();
  }

  /// Steps over {% name %}, which the caller has seen.
  void skip_tag(std::string_view name, int opened) {
    if (!at_tag({name})) {
      refuse(current().line, fmt::format("'{}' is missing for the tag of line {}", name, opened));
    }
    advance(), advance();
    end_tag();
  }

  Body parse_body(Ends ends) {
    const Nest nest(*this);
    Body body;
    while (current().kind != TokenKind::kEnd && !at_tag(ends)) {
      const Token& token = advance();
      if (token.kind == TokenKind::kData) {
        auto data = std::make_unique<DataStmt>(token.line);
        data->text = token.text;
        body.push_back(std::move(data));
      } else if (token.kind == TokenKind::kOutputBegin) {
        auto output = std::make_unique<OutputStmt>(token.line);
        output->value = parse_tuple(/*conditional=*/true, /*in_parentheses=*/false);
        if (current().kind != TokenKind::kOutputEnd) unexpected("'}}'");
        advance();
        body.push_back(std::move(output));
      } else {
        body.push_back(parse_tag());
      }
    }
    return body;
  }

  Body parse_body_to(std::string_view end, int opened) {
    Body body = parse_body({end});
    skip_tag(end, opened);
    return body;
  }

  std::unique_ptr<Stmt> parse_tag() {
    const int line = current().line;
    const std::string tag = expect_name("the name of a tag");
    if (tag == "if") return parse_if(line);
    if (tag == "for") return parse_for(line);
    if (tag == "set") return parse_set(line);
    if (tag == "macro") return parse_macro(line);
    if (tag == "call") return parse_call_block(line);
    if (tag == "filter") return parse_filter_block(line);
    if (tag == "with") return parse_with(line);
    if (tag == "generation") return parse_generation(line);
    if (tag == "break" || tag == "continue") return parse_jump(line, tag);
    const bool closes = tag.starts_with("end") || tag == "else" || tag == "elif";
    refuse(line, fmt::format("{} tag '{}'", closes ? "misplaced" : "unknown", tag));
  }

  std::unique_ptr<Stmt> parse_if(int line) {
    auto node = std::make_unique<IfStmt>(line);
    while (true) {
      ExprPtr condition = parse_tuple(/*conditional=*/false, /*in_parentheses=*/false);
      end_tag();
      node->branches.emplace_back(std::move(condition), parse_body({"elif", "else", "endif"}));
      if (!at_tag({"elif"})) break;
      advance(), advance();
    }
    if (at_tag({"else"})) {
      skip_tag("else", line);
      node->otherwise = parse_body({"endif"});
    }
    skip_tag("endif", line);
    return node;
  }

  std::unique_ptr<Stmt> parse_for(int line) {
    auto node = std::make_unique<ForStmt>(line);
    node->target = parse_target("in");
    if (!skip_name("in")) unexpected("'in'");
    node->items = parse_tuple(/*conditional=*/false, /*in_parentheses=*/false);
    if (skip_name("if")) node->condition = parse_expression();
    if (current().is_name("recursive")) refuse(line, "recursive loops are not supported");
    end_tag();
    ++loops_;
    node->body = parse_body({"else", "endfor"});
    --loops_;
    if (at_tag({"else"})) {
      skip_tag("else", line);
      node->otherwise = parse_body({"endfor"});
    }
    skip_tag("endfor", line);
    return node;
  }

  void check_assignable(const Target& target) const {
    const bool reserved = target.name == "loop" && loops_ > 0;
    const bool constant = target.name == "true" || target.name == "True" ||
                          target.name == "false" || target.name == "False" ||
                          target.name == "none" || target.name == "None";
    if (reserved || constant)
      refuse(target.line, fmt::format("cannot assign to '{}'", target.name));
  }

  Target parse_one_target() {
    Target target{.line = current().line};
    if (skip_op("(")) {
      target = parse_target("");
      expect_op(")");
      return target;
    }
    target.name = expect_name("a name to assign to");
    check_assignable(target);
    assigned_.insert(target.name);
    return target;
  }

  /// a or a, (b, c); `stop` is the word that ends it behind a trailing comma.
  Target parse_target(std::string_view stop) {
    const Nest nest(*this);
    const int line = current().line;
    Target first = parse_one_target();
    if (!current().is_op(",")) return first;
    Target tuple{.line = line};
    tuple.items.push_back(std::move(first));
    while (skip_op(",")) {
      if (current().is_name(stop) || current().is_op("=") || current().is_op(")")) break;
      tuple.items.push_back(parse_one_target());
    }
    return tuple;
  }

  Target parse_set_target() {
    if (current().kind != TokenKind::kName || !look().is_op(".")) return parse_target("");
    Target target{.line = current().line, .name = advance().text};
    expect_op(".");
    target.attribute = expect_name("the name of an attribute");
    attributes_.insert(target.attribute);
    return target;
  }

  std::unique_ptr<Stmt> parse_set(int line) {
    Target target = parse_set_target();
    if (skip_op("=")) {
      auto node = std::make_unique<SetStmt>(line);
      node->target = std::move(target);
      node->value = parse_tuple(/*conditional=*/true, /*in_parentheses=*/false);
      end_tag();
      return node;
    }
    auto node = std::make_unique<SetBlockStmt>(line);
    node->target = std::move(target);
    if (current().is_op("|")) node->filter = parse_filters(nullptr, /*first_has_pipe=*/true);
    end_tag();
    node->body = parse_body_to("endset", line);
    return node;
  }

  void parse_signature(MacroCode& code) {
    expect_op("(");
    while (!current().is_op(")")) {
      if (!code.parameters.empty()) expect_op(",");
      const int line = current().line;
      MacroCode::Parameter parameter{.name = expect_name("the name of a parameter")};
      check_assignable({.line = line, .name = parameter.name});
      assigned_.insert(parameter.name);
      const auto same = [&](const auto& other) { return other.name == parameter.name; };
      if (std::any_of(code.parameters.begin(), code.parameters.end(), same)) {
        refuse(line, fmt::format("two parameters are called '{}'", parameter.name));
      }
      if (skip_op("=")) {
        parameter.fallback = parse_expression();
      } else if (!code.parameters.empty() && code.parameters.back().fallback) {
        refuse(line, "a parameter without default follows one with");
      }
      code.parameters.push_back(std::move(parameter));
    }
    expect_op(")");
  }

  void parse_macro_body(MacroCode& code, std::string_view end) {
    code.line = current().line;
    const int outer_loops = loops_;
    loops_ = 0;  // a macro cannot break out of the loop around it
    macros_.push_back(&code);
    code.body = parse_body_to(end, code.line);
    macros_.pop_back();
    loops_ = outer_loops;
  }

  std::unique_ptr<Stmt> parse_macro(int line) {
    auto node = std::make_unique<MacroStmt>(line);
    node->code.name = expect_name("the name of the macro");
    check_assignable({.line = line, .name = node->code.name});
    assigned_.insert(node->code.name);
    assigned_.insert("caller");
    parse_signature(node->code);
    end_tag();
    parse_macro_body(node->code, "endmacro");
    return node;
  }

  std::unique_ptr<Stmt> parse_call_block(int line) {
    auto node = std::make_unique<CallStmt>(line);
    node->code.name = "caller";
    if (current().is_op("(")) parse_signature(node->code);
    ExprPtr call = parse_call();
    auto& parts = static_cast<CallExpr&>(*call);
    node->callee = std::move(parts.callee);
    node->arguments = std::move(parts.arguments);
    end_tag();
    parse_macro_body(node->code, "endcall");
    return node;
  }

  std::unique_ptr<Stmt> parse_filter_block(int line) {
    auto node = std::make_unique<FilterStmt>(line);
    node->filter = parse_filters(nullptr, /*first_has_pipe=*/false);
    end_tag();
    node->body = parse_body_to("endfilter", line);
    return node;
  }

  std::unique_ptr<Stmt> parse_with(int line) {
    auto node = std::make_unique<ScopeStmt>(line);
    while (current().kind != TokenKind::kBlockEnd) {
      if (!node->values.empty()) expect_op(",");
      Target target = parse_target("");
      expect_op("=");
      node->values.emplace_back(std::move(target), parse_expression());
    }
    end_tag();
    node->body = parse_body_to("endwith", line);
    return node;
  }

  /// Marks what the assistant wrote, for training masks; renders as its body.
  std::unique_ptr<Stmt> parse_generation(int line) {
    auto node = std::make_unique<ScopeStmt>(line);
    end_tag();
    const int outer_loops = loops_;
    loops_ = 0;
    node->body = parse_body_to("endgeneration", line);
    loops_ = outer_loops;
    return node;
  }

  std::unique_ptr<Stmt> parse_jump(int line, const std::string& tag) {
    if (loops_ == 0) refuse(line, fmt::format("'{}' outside of a loop", tag));
    end_tag();
    return std::make_unique<JumpStmt>(line, tag == "break" ? Flow::kBreak : Flow::kContinue);
  }

  int loops_ = 0;
};

}  // namespace

Body parse_template(std::string_view source) { return StmtParser(tokenize(source)).run(); }

}  // namespace moge::text::jinja
