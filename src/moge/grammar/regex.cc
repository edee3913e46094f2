#include "moge/grammar/regex.h"

#include <optional>
#include <utility>

#include "moge/grammar/char_reader.h"

namespace moge::grammar {

namespace {

const CharSet kDigits{{'0', '9'}};
const CharSet kWord{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const CharSet kSpace{{'\t', '\r'}, {' ', ' '}};
const CharSet kLineEnds{{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

/// What ^ and $ leave open at the ends of a branch.
struct Branch {
  std::vector<Expr> parts;
  bool from_start = false, to_end = false;
};

class Parser {
 public:
  Parser(Grammar& grammar, std::string_view regex, const RegexOptions& options)
      : grammar_(grammar), options_(options), in_(regex, "the regular expression") {}

  Expr parse() {
    const Expr e = outermost_choice();
    if (!in_.done()) in_.refuse("closes a group that is not open");
    return e;
  }

 private:
  Expr any_text() {
    return grammar_.repeat(add_chars(grammar_, complement({}), options_.in_json), 0);
  }

  /// ^ and $ may stand at the ends of its branches, also of those inside a group that is all there
  /// is.
  Expr outermost_choice() {
    std::vector<Expr> branches;
    do {
      branches.push_back(outermost_branch());
    } while (in_.take("|"));
    return grammar_.choice(std::move(branches));
  }

  Expr outermost_branch() {
    const size_t from = in_.at();
    if (const std::optional<Expr> group = outermost_group()) return *group;
    in_.go_back_to(from);
    Branch branch;
    while (in_.take("^") || in_.take("\\A")) branch.from_start = true;
    while (!in_.done() && !in_.sees("|") && !in_.sees(")")) {
      if (in_.take("$") || in_.take("\\z") || in_.take("\\Z")) {
        branch.to_end = true;
        if (!in_.done() && !in_.sees("|") && !in_.sees(")") && !in_.sees("$"))
          in_.refuse("has a $ that is not at an end");
      } else {
        branch.parts.push_back(repeated());
      }
    }
    std::vector<Expr> all;
    if (options_.anywhere && !branch.from_start) all.push_back(any_text());
    all.insert(all.end(), branch.parts.begin(), branch.parts.end());
    if (options_.anywhere && !branch.to_end) all.push_back(any_text());
    return grammar_.sequence(std::move(all));
  }

  /// A group that is a whole branch; nothing (and the place is lost) if it is less.
  std::optional<Expr> outermost_group() {
    if (!in_.take("(") || !options_.anywhere) return {};
    const Nested nested(*this);
    skip_group_name();
    const size_t end = matching_end();
    if (end == std::string_view::npos) return {};
    const Expr inside = outermost_choice();
    if (!in_.take(")")) in_.refuse("does not close a group");
    return inside;
  }

  /// Where the group just opened closes, if that ends the branch.
  size_t matching_end() {
    const std::string_view rest = in_.rest();
    int depth = 1;
    bool in_class = false;
    for (size_t i = 0; i < rest.size(); ++i) {
      if (rest[i] == '\\') {
        ++i;
      } else if (in_class) {
        in_class = rest[i] != ']';
      } else if (rest[i] == '[') {
        in_class = true;
        if (i + 1 < rest.size() && rest[i + 1] == '^') ++i;
      } else if (rest[i] == '(') {
        ++depth;
      } else if (rest[i] == ')' && --depth == 0) {
        const bool ends = i + 1 == rest.size() || rest[i + 1] == '|' || rest[i + 1] == ')';
        return ends ? i : std::string_view::npos;
      }
    }
    return std::string_view::npos;
  }

  Expr inner_choice() {
    std::vector<Expr> branches;
    do {
      std::vector<Expr> parts;
      while (!in_.done() && !in_.sees("|") && !in_.sees(")")) parts.push_back(repeated());
      branches.push_back(grammar_.sequence(std::move(parts)));
    } while (in_.take("|"));
    return grammar_.choice(std::move(branches));
  }

  Expr repeated() {
    Expr e = atom();
    while (const auto range = quantifier()) {
      e = grammar_.repeat(e, range->first, range->second);
      if (!in_.take("?") && in_.sees("+")) in_.refuse("has a possessive quantifier");
    }
    return e;
  }

  std::optional<std::pair<int32_t, int32_t>> quantifier() {
    if (in_.take("*")) return {{0, -1}};
    if (in_.take("+")) return {{1, -1}};
    if (in_.take("?")) return {{0, 1}};
    if (!in_.sees("{")) return {};
    const size_t from = in_.at();
    in_.take("{");
    if (in_.peek() < '0' || in_.peek() > '9') {  // a brace of its own
      in_.go_back_to(from);
      return {};
    }
    const int32_t least = in_.number();
    int32_t most = least;
    if (in_.take(",")) most = in_.sees("}") ? -1 : in_.number();
    if (!in_.take("}")) in_.refuse("does not close a {");
    if (least > kMaxRepeat || most > kMaxRepeat) in_.refuse("repeats more than 16384 times");
    if (most >= 0 && most < least) in_.refuse("has a {m,n} with m above n");
    return {{least, most}};
  }

  Expr atom() {
    if (in_.take("(")) return group();
    if (in_.take("[")) return set_of(char_class());
    if (in_.take(".")) return set_of(complement(kLineEnds));
    if (in_.take("\\")) return set_of(escape(/*in_class=*/false));
    for (const char* c : {"*", "+", "?"})
      if (in_.sees(c)) in_.refuse("repeats nothing");
    if (in_.sees("^") || in_.sees("$")) in_.refuse("has a ^ or $ that is not at an end");
    const char32_t c = in_.next();
    return set_of({{c, c}});
  }

  Expr set_of(const CharSet& set) { return add_chars(grammar_, set, options_.in_json); }

  Expr group() {
    const Nested nested(*this);
    skip_group_name();
    const Expr e = inner_choice();
    if (!in_.take(")")) in_.refuse("does not close a group");
    return e;
  }

  void skip_group_name() {
    if (!in_.take("?")) return;
    if (in_.take(":")) return;
    for (const char* look : {"=", "!", "<=", "<!"})
      if (in_.sees(look)) in_.refuse("has look-around, which is not supported,");
    if (!in_.take("P<") && !in_.take("<")) in_.refuse("has a (? that is not supported");
    while (!in_.take(">"))
      if (in_.next() == ')') in_.refuse("has a group without a name");
  }

  CharSet escape(bool in_class) {
    const char32_t c = in_.next();
    switch (c) {
      case 'd':
        return kDigits;
      case 'D':
        return complement(kDigits);
      case 'w':
        return kWord;
      case 'W':
        return complement(kWord);
      case 's':
        return kSpace;
      case 'S':
        return complement(kSpace);
      case 'n':
        return one('\n');
      case 't':
        return one('\t');
      case 'r':
        return one('\r');
      case 'f':
        return one('\f');
      case 'v':
        return one('\v');
      case '0':
        return one(0);
      case 'x':
        return one(in_.hex(2));
      case 'u':
        return one(unicode_escape());
      case 'b':
        if (in_class) return one('\b');
        in_.refuse("has \\b, which is not supported,");
      case 'p':
      case 'P':
        in_.refuse("has \\p, which is not supported,");
      default:
        break;
    }
    if (c >= '1' && c <= '9') in_.refuse("has a back reference, which is not supported,");
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter) in_.refuse("has an escape that is not supported");
    return one(c);
  }

  static CharSet one(char32_t c) { return {{c, c}}; }

  char32_t unicode_escape() {
    if (!in_.take("{")) {
      const char32_t high = in_.hex(4);
      if (high < 0xD800 || high > 0xDBFF || !in_.take("\\u")) return high;
      return 0x10000 + ((high - 0xD800) << 10) + ((in_.hex(4) - 0xDC00) & 0x3FF);
    }
    char32_t c = 0;
    int digits = 0;
    for (; !in_.sees("}") && digits < 6; ++digits) c = c * 16 + in_.hex(1);
    if (!in_.take("}") || digits == 0 || c > kLastChar) in_.refuse("has a wrong \\u{}");
    return c;
  }

  CharSet char_class() {
    const bool negated = in_.take("^");
    CharSet set;
    for (bool first = true; first || !in_.sees("]"); first = false) {
      if (in_.done()) in_.refuse("does not close a [");
      if (in_.sees("[:")) in_.refuse("has a [:class:], which is not supported,");
      if (first && in_.sees("]")) break;  // ECMAScript: empty
      const CharSet low = class_item();
      const bool is_range =
          low.size() == 1 && low[0].first == low[0].last && in_.sees("-") && !in_.sees("-]");
      if (!is_range) {
        set.insert(set.end(), low.begin(), low.end());
        continue;
      }
      in_.take("-");
      const CharSet high = class_item();
      if (high.size() != 1 || high[0].first != high[0].last || high[0].first < low[0].first)
        in_.refuse("has a range that ends before it begins");
      set.push_back({low[0].first, high[0].first});
    }
    in_.take("]");
    return negated ? complement(set) : normalized(std::move(set));
  }

  CharSet class_item() {
    if (in_.take("\\")) return escape(/*in_class=*/true);
    return one(in_.next());
  }

  /// Counts how deep groups nest.
  struct Nested {
    explicit Nested(Parser& parser) : p(parser) {
      if (++p.nesting_ > kMaxNesting) p.in_.refuse("nests deeper than 100");
    }
    ~Nested() { --p.nesting_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;
    Parser& p;
  };

  Grammar& grammar_;
  RegexOptions options_;
  CharReader in_;
  int nesting_ = 0;
};

/// Short escapes of JSON; '/' needs none.
constexpr std::pair<char32_t, const char*> kShortEscapes[] = {
    {'"', "\\\""}, {'\\', "\\\\"}, {'\b', "\\b"}, {'\f', "\\f"},
    {'\n', "\\n"}, {'\r', "\\r"},  {'\t', "\\t"}};

std::string long_escape(char32_t c) { return fmt::format("\\u{:04x}", static_cast<uint32_t>(c)); }

const CharSet kEscaped{{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};

std::string escape_of(char32_t c) {
  for (const auto& [from, to] : kShortEscapes)
    if (from == c) return to;
  return long_escape(c);
}

}  // namespace

Expr add_regex(Grammar& grammar, std::string_view regex, const RegexOptions& options) {
  check(static_cast<int64_t>(regex.size()) <= kMaxText,
        "the regular expression has {} bytes, at most {} are allowed", regex.size(), kMaxText);
  return Parser(grammar, regex, options).parse();
}

Expr add_chars(Grammar& grammar, const CharSet& set, bool in_json) {
  if (!in_json) return grammar.chars(set);
  std::vector<Expr> parts{grammar.chars(common(set, complement(kEscaped)))};
  for (const CharRange& range : common(set, kEscaped))
    for (char32_t c = range.first; c <= range.last; ++c)
      parts.push_back(grammar.bytes(escape_of(c)));
  return grammar.choice(std::move(parts));
}

std::string spelled(std::string_view text, bool in_json) {
  if (!in_json) return std::string(text);
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool escaped = byte < 0x20 || c == '"' || c == '\\';
    out += escaped ? escape_of(byte) : std::string(1, c);
  }
  return out;
}

}  // namespace moge::grammar
