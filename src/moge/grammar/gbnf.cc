#include "moge/grammar/gbnf.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "moge/grammar/char_reader.h"

namespace moge::grammar {

namespace {

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : in_(text, "the grammar") {}

  Grammar parse() {
    skip_space(/*lines=*/true);
    while (!in_.done()) rule();
    const auto root = ids_.find("root");
    check(root != ids_.end(), "the grammar has no rule named root");
    for (const Grammar::Rule& rule : grammar_.rules())
      check(rule.body >= 0, "the grammar uses the rule {}, which it does not define", rule.name);
    grammar_.root = root->second;
    return std::move(grammar_);
  }

 private:
  void rule() {
    const RuleId id = rule_id(name());
    skip_space(false);
    if (!in_.take("::=")) in_.refuse("lacks ::=");
    skip_space(true);
    check(grammar_.rules()[static_cast<size_t>(id)].body < 0,
          "the grammar defines the rule {} twice", grammar_.rules()[static_cast<size_t>(id)].name);
    const Expr body = alternatives(/*nested=*/false);
    grammar_.define(id, body);
    if (!in_.done() && in_.peek() != '\n' && in_.peek() != '\r')
      in_.refuse("has something unexpected");
    skip_space(true);
  }

  std::string name() {
    std::string out;
    while (!in_.done() && is_name_char(in_.peek())) out += static_cast<char>(in_.next());
    if (out.empty()) in_.refuse("lacks a rule's name");
    return out;
  }

  RuleId rule_id(const std::string& name) {
    const auto found = ids_.find(name);
    if (found != ids_.end()) return found->second;
    return ids_[name] = grammar_.add_rule(name);
  }

  /// Blanks and comments, and (`lines`) line ends.
  void skip_space(bool lines) {
    while (!in_.done()) {
      if (in_.peek() == '#') {
        while (!in_.done() && in_.peek() != '\n') in_.next();
      } else if (in_.peek() == ' ' || in_.peek() == '\t' ||
                 (lines && (in_.peek() == '\n' || in_.peek() == '\r'))) {
        in_.next();
      } else {
        return;
      }
    }
  }

  Expr alternatives(bool nested) {
    std::vector<Expr> branches{sequence(nested)};
    while (in_.take("|")) {
      skip_space(true);
      branches.push_back(sequence(nested));
    }
    return grammar_.choice(std::move(branches));
  }

  Expr sequence(bool nested) {
    std::vector<Expr> parts;
    while (std::optional<Expr> item = this->item()) {
      skip_space(nested);
      while (const auto range = quantifier(nested))
        item = grammar_.repeat(*item, range->first, range->second);
      parts.push_back(*item);
    }
    return grammar_.sequence(std::move(parts));
  }

  std::optional<Expr> item() {
    if (in_.take("\"")) return literal();
    if (in_.take("[")) return char_class();
    if (in_.take(".")) return grammar_.chars(complement({}));
    if (in_.take("(")) return group();
    if (in_.sees("<") || in_.sees("!<"))
      in_.refuse("refers to a token by <…>, which is not supported,");
    if (in_.done() || !is_name_char(in_.peek())) return {};
    return grammar_.call(rule_id(name()));
  }

  Expr group() {
    if (++nesting_ > kMaxNesting) in_.refuse("nests deeper than 100");
    skip_space(true);
    const Expr e = alternatives(/*nested=*/true);
    if (!in_.take(")")) in_.refuse("does not close a (");
    --nesting_;
    return e;
  }

  std::optional<std::pair<int32_t, int32_t>> quantifier(bool nested) {
    std::optional<std::pair<int32_t, int32_t>> range;
    if (in_.take("*"))
      range = {0, -1};
    else if (in_.take("+"))
      range = {1, -1};
    else if (in_.take("?"))
      range = {0, 1};
    else if (in_.take("{"))
      range = braces();
    if (range) skip_space(nested);
    return range;
  }

  std::pair<int32_t, int32_t> braces() {
    skip_space(false);
    const int32_t least = in_.sees(",") ? 0 : in_.number();
    int32_t most = least;
    skip_space(false);
    if (in_.take(",")) {
      skip_space(false);
      most = in_.sees("}") ? -1 : in_.number();
      skip_space(false);
    }
    if (!in_.take("}")) in_.refuse("does not close a {");
    if (least > kMaxRepeat || most > kMaxRepeat) in_.refuse("repeats more than 16384 times");
    if (most >= 0 && most < least) in_.refuse("has a {m,n} with m above n");
    return {least, most};
  }

  Expr literal() {
    std::string bytes;
    while (!in_.take("\"")) text::append_utf8(bytes, character());
    return grammar_.bytes(bytes);
  }

  Expr char_class() {
    const bool negated = in_.take("^");
    CharSet set;
    while (!in_.take("]")) {
      const char32_t first = character();
      char32_t last = first;
      if (in_.sees("-") && !in_.sees("-]")) {
        in_.take("-");
        last = character();
      }
      if (last < first) in_.refuse("has a range that ends before it begins");
      set.push_back({first, last});
    }
    return grammar_.chars(negated ? complement(set) : set);
  }

  char32_t character() {
    if (in_.done()) in_.refuse("does not close a \" or [");
    const size_t before = in_.at();
    const char32_t c = in_.next();
    if (c != '\\') return c;
    const char32_t value = escape();
    if (value >= 0xD800 && value <= 0xDFFF) {
      in_.go_back_to(before);
      in_.refuse("has a surrogate, which is no character,");
    }
    return value;
  }

  char32_t escape() {
    const char32_t c = in_.next();
    switch (c) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'x':
        return in_.hex(2);
      case 'u':
        return in_.hex(4);
      case 'U':
        return in_.hex(8);
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
        return c;
      default:
        in_.refuse("has an unknown escape");
    }
  }

  CharReader in_;
  Grammar grammar_;
  std::map<std::string, RuleId> ids_;
  int nesting_ = 0;
};

}  // namespace

Grammar parse_gbnf(std::string_view text) {
  check(static_cast<int64_t>(text.size()) <= kMaxText,
        "the grammar has {} bytes, at most {} are allowed", text.size(), kMaxText);
  return Parser(text).parse();
}

}  // namespace moge::grammar
