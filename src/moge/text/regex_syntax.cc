#include "moge/text/regex_syntax.h"

#include <fmt/core.h>

#include <cctype>
#include <vector>

#include "moge/core/error.h"
#include "moge/text/unicode.h"
#include "moge/text/utf8.h"

namespace moge::text {

namespace {

// Sets are written as the inside of a PCRE2 class.
constexpr const char* kSpace =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"
    "\\x{205f}\\x{3000}";
constexpr const char* kHex = "0-9a-fA-F";
constexpr size_t kMaxBytes = size_t{1} << 20;

std::string code(char32_t c) {
  if (c < 0x80 && std::isalnum(static_cast<int>(c)) != 0) return {static_cast<char>(c)};
  return fmt::format("\\x{{{:x}}}", static_cast<uint32_t>(c));
}

/// Ranges of newer_ranges() whose category starts with `prefix`.
std::string newer(std::string_view prefix) {
  std::string out;
  for (const NewerRange& r : newer_ranges())
    if (std::string_view(r.category).starts_with(prefix))
      out += code(r.first) + (r.last > r.first ? "-" + code(r.last) : "");
  return out;
}

/// \p{name}: a general category, a binary property or a script.
std::string property(const std::string& name) {
  const bool is_category = name.size() <= 2 && std::string_view("LMNPSZC").find(name[0]) < 7;
  if (is_category) return "\\p{" + name + "}" + newer(name);
  if (name == "Alphabetic" || name == "Alpha") return "\\p{Alphabetic}" + newer("L");
  for (const char* binary : {"Any", "Uppercase", "Lowercase", "White_Space", "Emoji"})
    if (name == binary) return "\\p{" + name + "}";
  return "\\p{sc:" + name + "}" + newer("sc:" + name);
}

std::string word() {
  return property("Alphabetic") + property("M") + property("N") + property("Pc");
}

/// [:name:] inside a class.
std::string posix(std::string_view name) {
  if (name == "space") return kSpace;
  if (name == "alpha") return property("Alphabetic");
  if (name == "digit") return property("Nd");
  if (name == "alnum") return property("Alphabetic") + property("Nd");
  if (name == "punct") return property("P") + property("S");
  if (name == "upper") return property("Uppercase");
  if (name == "lower") return property("Lowercase");
  if (name == "word") return word();
  if (name == "xdigit") return kHex;
  if (name == "cntrl") return "\\p{Cc}";
  fail("class [:{}:] is not supported", name);
}

struct Set {
  std::string inside;
  bool negated = false;
};

class Translator {
 public:
  explicit Translator(std::string_view in) : in_(in) {}

  std::string run() {
    groups_.push_back({});
    while (at_ < in_.size()) {
      step();
      check(out_.size() <= kMaxBytes, "the expression is too long once its sets are spelled out");
    }
    check(groups_.size() == 1, "a group is not closed");
    close_options();
    return std::move(out_);
  }

 private:
  struct Group {
    size_t start = 0;  // where it begins in out_
    int options = 0;   // (?i:...) opened for an isolated (?i), closed with the group
  };

  bool more() const { return at_ < in_.size(); }
  char peek() const { return more() ? in_[at_] : '\0'; }
  char take() {
    check(more(), "the expression ends too early");
    return in_[at_++];
  }
  bool accept(std::string_view s) {
    if (!in_.substr(at_).starts_with(s)) return false;
    at_ += s.size();
    return true;
  }
  std::string until(char end) {
    const size_t stop = in_.find(end, at_);
    check(stop != std::string_view::npos, "'{}' is missing", end);
    std::string text(in_.substr(at_, stop - at_));
    at_ = stop + 1;
    return text;
  }
  char32_t take_char() {
    check(more(), "the expression ends too early");
    const CodePoint c = decode_utf8(in_.substr(at_));
    at_ += c.size;
    return c.value;
  }
  void atom(std::string_view text) {
    atom_ = out_.size();
    out_ += text;
  }

  void step() {
    switch (peek()) {
      case '\\':
        ++at_;
        return escape();
      case '[':
        ++at_;
        return atom(bracket());
      case '(':
        ++at_;
        return open();
      case ')':
        ++at_;
        return close();
      case '{':
        ++at_;
        return interval();
      case '*':
      case '+':
      case '?':
        return quantifier();
      case '.':
        return atom(std::string(1, take()));
      case '^':
      case '$':
      case '|':
        out_ += take();
        return;
      default:
        return atom(code(take_char()));
    }
  }

  void quantifier() {
    out_ += take();
    if (peek() == '?' || peek() == '+') out_ += take();
  }

  /// {n}, {n,}, {,m}, {n,m}; anything else is a literal brace.
  void interval() {
    const size_t stop = in_.find('}', at_);
    const std::string body(in_.substr(at_, stop == std::string_view::npos ? 0 : stop - at_));
    const size_t comma = body.find(',');
    const bool digits = body.find_first_not_of("0123456789,") == std::string::npos;
    if (body.empty() || body == "," || !digits || body.find(',', comma + 1) < body.size())
      return atom("\\{");
    at_ = stop + 1;
    out_ += "{" + std::string(comma == 0 ? "0" : "") + body + "}";
    // Oniguruma: {n,m}+ repeats the repetition, {n}? makes it optional; {n,m}? is lazy as in PCRE2.
    if (peek() == '+' || (peek() == '?' && comma == std::string::npos)) {
      out_.insert(atom_, "(?:");
      out_ += std::string(")") + take();
    } else if (peek() == '?') {
      out_ += take();
    }
  }

  void open() {
    groups_.push_back({.start = out_.size()});
    check(groups_.size() < 200, "groups are nested more than 200 deep");
    check(peek() != '*', "(*...) is not supported");
    if (!accept("?")) {
      out_ += '(';
      return;
    }
    for (const char* head : {":", "=", "!", ">", "<=", "<!"})
      if (accept(head)) {
        out_ += std::string("(?") + head;
        return;
      }
    if (accept("#")) {
      until(')');
      groups_.pop_back();
    } else if (accept("<")) {
      out_ += "(?<" + until('>') + ">";
    } else {
      options();
    }
  }

  /// (?i-m:...) or (?i-m): m is PCRE2's s. An isolated one lasts to the end of its group.
  void options() {
    std::string flags;
    for (char c = take(); c != ':' && c != ')'; c = take()) {
      check(c == 'i' || c == 'm' || c == '-', "option (?{}) is not supported", c);
      flags += c == 'm' ? 's' : c;
    }
    out_ += "(?" + flags + ":";
    if (in_[at_ - 1] == ':') return;
    groups_.pop_back();
    ++groups_.back().options;
  }

  void close_options() { out_.append(static_cast<size_t>(groups_.back().options), ')'); }

  void close() {
    check(groups_.size() > 1, "')' closes no group");
    close_options();
    out_ += ')';
    atom_ = groups_.back().start;
    groups_.pop_back();
  }

  void escape() {
    const size_t start = at_;
    const char c = take();
    if (c == 'b') return atom(boundary(false));
    if (c == 'B') return atom(boundary(true));
    if (std::string_view("AzZGRX123456789").find(c) < 15) return atom(std::string("\\") + c);
    if (c == 'k' || c == 'g') {
      check(take() == '<', "\\{} wants a name in <>", c);
      return atom(std::string("\\") + c + "<" + until('>') + ">");
    }
    at_ = start;
    Set set;
    if (take_set(set)) return atom((set.negated ? "[^" : "[") + set.inside + "]");
    atom(code(escaped_char()));
  }

  static std::string boundary(bool negated) {
    const std::string w = "[" + word() + "]";
    const std::string inside = "(?<=" + w + ")", outside = "(?<!" + w + ")";
    if (negated) return "(?:" + inside + "(?=" + w + ")|" + outside + "(?!" + w + "))";
    return "(?:" + inside + "(?!" + w + ")|" + outside + "(?=" + w + "))";
  }

  /// After a backslash: \s, \p{L} and their like; false and nothing taken for anything else.
  bool take_set(Set& set) {
    const char c = take();
    const char lower = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    set.negated = c != lower;
    switch (lower) {
      case 's':
        set.inside = kSpace;
        return true;
      case 'w':
        set.inside = word();
        return true;
      case 'd':
        set.inside = property("Nd");
        return true;
      case 'h':
        set.inside = kHex;
        return true;
      case 'p':
        break;
      default:
        --at_;
        return false;
    }
    check(take() == '{', "\\{} wants a name in braces", c);
    if (accept("^")) set.negated = !set.negated;
    const std::string name = until('}');
    check(!name.empty(), "\\{} has an empty name", c);
    for (const char k : name)
      check(std::isalnum(static_cast<unsigned char>(k)) != 0 || k == '_',
            "property \\{}{{{}}} is not supported", c, name);
    set.inside = property(name);
    return true;
  }

  /// After a backslash: one character.
  char32_t escaped_char() {
    const char c = peek();
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) return take_char();
    ++at_;
    switch (c) {
      case 't':
        return '\t';
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 'f':
        return '\f';
      case 'v':
        return '\v';
      case 'a':
        return '\a';
      case 'e':
        return 0x1B;
      case '0':
        return 0;
      case 'u':
        return hex(std::string(in_.substr(at_, 4)), 4);
      case 'x':
        break;
      default:
        fail("escape \\{} is not supported", c);
    }
    if (accept("{")) return hex(until('}'), 0);
    const char32_t value = hex(std::string(in_.substr(at_, 2)), 2);
    check(value < 0x80, "\\x{:x} is no character of UTF-8", static_cast<uint32_t>(value));
    return value;
  }

  /// Hexadecimal digits; takes `size` of them where size > 0 (else they are taken already).
  char32_t hex(const std::string& digits, size_t size) {
    const bool wrong = digits.empty() || digits.size() > 6 || (size > 0 && digits.size() != size);
    check(!wrong && digits.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos,
          "'{}' is no hexadecimal number of a character", digits);
    at_ += size;
    const char32_t value = static_cast<char32_t>(std::stoul(digits, nullptr, 16));
    check(value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF), "U+{} is no character", digits);
    return value;
  }

  /// After '[': the whole class. A negated set inside, as in [^\S\n], becomes its own alternative.
  std::string bracket() {
    const bool negated = accept("^");
    std::string positive;
    std::vector<std::string> complements;
    for (bool first = true; first || peek() != ']'; first = false) {
      check(more(), "']' is missing");
      check(!accept("&&"), "&& in a class is not supported");
      Set set;
      if (take_class_set(set)) {
        if (set.negated)
          complements.push_back(set.inside);
        else
          positive += set.inside;
      } else {
        positive += range();
      }
    }
    ++at_;
    return join(negated, positive, complements);
  }

  bool take_class_set(Set& set) {
    if (accept("[:")) {
      set.negated = accept("^");
      set.inside = posix(until(':'));
      check(take() == ']', "':]' is missing");
      return true;
    }
    check(peek() != '[', "a class inside a class is not supported");
    if (peek() != '\\') return false;
    ++at_;
    if (take_set(set)) return true;
    --at_;
    return false;
  }

  /// A character or a range of a class.
  std::string range() {
    const char32_t first = class_char();
    const bool is_range = peek() == '-' && at_ + 1 < in_.size() && in_[at_ + 1] != ']';
    if (!is_range) return code(first);
    const size_t dash = at_++;
    Set set;
    if (take_class_set(set)) {  // [a-\d]: the dash is a dash
      at_ = dash + 1;
      return code(first) + code('-');
    }
    const char32_t last = class_char();
    check(first <= last, "a range of a class runs backwards");
    return code(first) + "-" + code(last);
  }

  char32_t class_char() {
    if (!accept("\\")) return take_char();
    if (accept("b")) return '\b';
    return escaped_char();
  }

  static std::string join(bool negated, const std::string& positive,
                          const std::vector<std::string>& complements) {
    if (complements.empty()) return (negated ? "[^" : "[") + positive + "]";
    std::string out = "(?:";
    if (negated) {
      for (const std::string& c : complements) out += "(?=[" + c + "])";
      out += positive.empty() ? "[\\x{0}-\\x{10ffff}]" : "[^" + positive + "]";
    } else {
      for (const std::string& c : complements) out += "[^" + c + "]|";
      out += positive.empty() ? "(?!)" : "[" + positive + "]";
    }
    return out + ")";
  }

  std::string_view in_;
  std::string out_;
  size_t at_ = 0;
  size_t atom_ = 0;  // where the last atom begins in out_
  std::vector<Group> groups_;
};

}  // namespace

std::string to_pcre2(std::string_view oniguruma) {
  check(is_valid_utf8(oniguruma), "the expression is no UTF-8");
  return Translator(oniguruma).run();
}

}  // namespace moge::text
