#include "moge/text/jinja_lexer.h"

#include <algorithm>
#include <charconv>

#include "moge/core/error.h"
#include "moge/text/jinja_text.h"
#include "moge/text/utf8.h"

namespace moge::text::jinja {

namespace {

constexpr std::string_view kOperators[] = {"==", "!=", ">=", "<=", "//", "**", "+", "-", "/",
                                           "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                           ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};

bool is_digit_char(char c) { return c >= '0' && c <= '9'; }
bool is_name_char(char c) {
  return is_digit_char(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

int digit_value(char c) {
  if (is_digit_char(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 99;
}

/// \n for every line end; one newline at the end of the file does not count.
std::string normalize_lines(std::string_view source) {
  std::string out;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalize_lines(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) {
      const size_t tag = next_tag(at_);
      if (tag == std::string::npos) {
        push_data(std::string_view(source_).substr(at_));
        break;
      }
      read_tag(tag);
    }
    at_ = source_.size();
    push(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  char peek(size_t offset = 0) const {
    return at_ + offset < source_.size() ? source_[at_ + offset] : '\0';
  }
  bool looking_at(std::string_view text) const {
    return std::string_view(source_).substr(at_, text.size()) == text;
  }
  void advance(size_t bytes) {
    line_ +=
        static_cast<int>(std::count(source_.begin() + static_cast<int64_t>(at_),
                                    source_.begin() + static_cast<int64_t>(at_ + bytes), '\n'));
    at_ += bytes;
    line_starting_ = at_ == 0 || source_[at_ - 1] == '\n';
  }
  size_t spaces() const {
    const std::string_view rest = std::string_view(source_).substr(at_);
    return rest.size() - strip_spaces(rest, Side::kLeft).size();
  }
  void push(TokenKind kind, std::string text, Value number = {}) {
    tokens_.push_back({kind, std::move(text), line_, std::move(number)});
  }
  void push_data(std::string_view text) {
    if (!text.empty()) push(TokenKind::kData, std::string(text));
  }

  size_t next_tag(size_t from) const {
    for (size_t i = from; i + 1 < source_.size(); ++i) {
      const char next = source_[i + 1];
      if (source_[i] == '{' && (next == '{' || next == '%' || next == '#')) return i;
    }
    return std::string::npos;
  }

  /// What of the text before a tag stays, by the tag's sign.
  std::string_view kept(std::string_view text, char sign, bool is_output) const {
    if (sign == '-') return strip_spaces(text, Side::kRight);
    if (sign == '+' || is_output) return text;
    const size_t newline = text.rfind('\n');
    const size_t start = newline == std::string_view::npos ? 0 : newline + 1;
    if (start == 0 && !line_starting_) return text;
    if (!strip_spaces(text.substr(start), Side::kLeft).empty()) return text;
    return text.substr(0, start);
  }

  void read_tag(size_t tag) {
    const char kind = source_[tag + 1];
    const char next = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    const char sign = next == '-' || next == '+' ? next : '\0';
    push_data(kept(std::string_view(source_).substr(at_, tag - at_), sign, kind == '{'));
    advance(tag - at_ + (sign ? 3 : 2));
    if (kind == '#') return read_comment();
    if (kind == '%' && read_raw()) return;
    push(kind == '{' ? TokenKind::kOutputBegin : TokenKind::kBlockBegin, "");
    read_code(kind == '{');
  }

  void read_comment() {
    const int line = line_;
    const size_t end = source_.find("#}", at_);
    check(end != std::string::npos, "[chat template] line {}: the comment has no end", line);
    const char sign = end > at_ ? source_[end - 1] : '\0';
    advance(end - at_);
    skip_end(sign == '+' || sign == '-' ? sign : '\0', /*trims=*/true);
  }

  /// Steps over a two-character tag end and what its sign takes with it.
  void skip_end(char sign, bool trims) {
    advance(2);
    if (sign == '-') {
      advance(spaces());
    } else if (sign != '+' && trims && peek() == '\n') {
      advance(1);
    }
  }

  /// {% raw %}...{% endraw %}; false where the tag is another.
  bool read_raw() {
    const size_t start = at_;
    const int line = line_;
    const bool was_starting = line_starting_;
    if (!read_raw_word("raw", /*trims=*/false)) {
      at_ = start, line_ = line, line_starting_ = was_starting;
      return false;
    }
    for (size_t from = at_;;) {
      const size_t tag = source_.find("{%", from);
      check(tag != std::string::npos, "[chat template] line {}: raw has no endraw", line);
      const char next = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
      const char sign = next == '-' || next == '+' ? next : '\0';
      const size_t text_start = at_;
      const int text_line = line_;
      const bool text_starting = line_starting_;
      at_ = tag + (sign ? 3 : 2);
      if (read_raw_word("endraw", /*trims=*/true)) {
        const size_t end = at_;
        at_ = text_start, line_ = text_line, line_starting_ = text_starting;
        push_data(kept(std::string_view(source_).substr(at_, tag - at_), sign, false));
        advance(end - at_);
        return true;
      }
      at_ = text_start, line_ = text_line, line_starting_ = text_starting;
      from = tag + 2;
    }
  }

  bool read_raw_word(std::string_view word, bool trims) {
    advance(spaces());
    if (!looking_at(word)) return false;
    advance(word.size());
    advance(spaces());
    const char sign = peek() == '-' || (trims && peek() == '+') ? peek() : '\0';
    if (sign) advance(1);
    if (!looking_at("%}")) return false;
    skip_end(sign, trims);
    return true;
  }

  void read_code(bool is_output) {
    const int line = line_;
    while (true) {
      if (brackets_.empty() && read_end(is_output)) return;
      check(at_ < source_.size(), "[chat template] line {}: the {} has no end", line,
            is_output ? "{{ expression" : "{% tag");
      if (const size_t blank = spaces()) {
        advance(blank);
      } else {
        read_token();
      }
    }
  }

  bool read_end(bool is_output) {
    const char sign = peek() == '-' || (peek() == '+' && !is_output) ? peek() : '\0';
    const std::string_view end = is_output ? "}}" : "%}";
    if (std::string_view(source_).substr(std::min(at_ + (sign ? 1 : 0), source_.size()), 2) != end)
      return false;
    push(is_output ? TokenKind::kOutputEnd : TokenKind::kBlockEnd, "");
    if (sign) advance(1);
    skip_end(sign, /*trims=*/!is_output);
    return true;
  }

  void read_token() {
    const char c = peek();
    if (is_digit_char(c)) return read_number();
    if (c == '\'' || c == '"') return read_string(c);
    if (is_name_char(c)) {
      size_t size = 1;
      while (is_name_char(peek(size))) ++size;
      push(TokenKind::kName, source_.substr(at_, size));
      return advance(size);
    }
    for (std::string_view op : kOperators) {
      if (looking_at(op)) return read_operator(op);
    }
    const std::string_view rest = std::string_view(source_).substr(at_);
    fail("[chat template] line {}: unexpected character {}", line_,
         string_repr(rest.substr(0, utf8_length(c))));
  }

  void read_operator(std::string_view op) {
    if (op == "(" || op == "[" || op == "{") brackets_ += op;
    if (op == ")" || op == "]" || op == "}") {
      const char open = op == ")" ? '(' : op == "]" ? '[' : '{';
      check(!brackets_.empty() && brackets_.back() == open,
            "[chat template] line {}: unexpected '{}'", line_, op);
      brackets_.pop_back();
    }
    push(TokenKind::kOperator, std::string(op));
    advance(op.size());
  }

  /// Digits with single underscores between them, from `offset`; returns the offset behind them.
  size_t skip_digits(size_t offset) const {
    while (is_digit_char(peek(offset)) ||
           (peek(offset) == '_' && is_digit_char(peek(offset + 1)))) {
      ++offset;
    }
    return offset;
  }

  void read_number() {
    const char second = static_cast<char>(peek(1) | 0x20);
    if (peek() == '0' && (second == 'x' || second == 'o' || second == 'b')) {
      return read_prefixed(second == 'x' ? 16 : second == 'o' ? 8 : 2);
    }
    size_t size = skip_digits(0);
    bool is_float = false;
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';  // x.0.1 are two items
    if (!after_dot && peek(size) == '.' && is_digit_char(peek(size + 1))) {
      size = skip_digits(size + 1);
      is_float = true;
    }
    if (!after_dot && (peek(size) | 0x20) == 'e') {
      const size_t sign = peek(size + 1) == '+' || peek(size + 1) == '-' ? 1 : 0;
      if (is_digit_char(peek(size + 1 + sign))) {
        size = skip_digits(size + 1 + sign);
        is_float = true;
      }
    }
    std::string digits = source_.substr(at_, size);
    std::erase(digits, '_');
    check(!is_name_char(peek(size)), "[chat template] line {}: '{}' runs into a name", line_,
          digits);
    if (is_float) {
      push_float(digits);
    } else {
      check(digits[0] != '0' || digits.find_first_not_of('0') == std::string::npos,
            "[chat template] line {}: '{}' starts with a zero", line_, digits);
      push_integer(digits, 10);
    }
    advance(size);
  }

  void read_prefixed(int base) {
    size_t size = 2;
    while (digit_value(peek(size)) < base ||
           (peek(size) == '_' && digit_value(peek(size + 1)) < base)) {
      ++size;
    }
    std::string digits = source_.substr(at_ + 2, size - 2);
    std::erase(digits, '_');
    check(!digits.empty() && !is_name_char(peek(size)),
          "[chat template] line {}: a bad number of base {}", line_, base);
    push_integer(digits, base);
    advance(size);
  }

  void push_float(const std::string& digits) {
    double value = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    check(result.ec == std::errc(), "[chat template] line {}: '{}' is no fp64 number", line_,
          digits);
    push(TokenKind::kFloat, digits, value);
  }

  void push_integer(const std::string& digits, int base) {
    Int value = 0;
    for (char c : digits) {
      const bool fits = !__builtin_mul_overflow(value, Int{base}, &value) &&
                        !__builtin_add_overflow(value, Int{digit_value(c)}, &value);
      check(fits, "[chat template] line {}: the integer {} is too large", line_, digits);
    }
    push(TokenKind::kInteger, digits, value);
  }

  void read_string(char quote) {
    const int line = line_;
    size_t size = 1;
    std::string text;
    while (peek(size) != quote) {
      check(at_ + size < source_.size(), "[chat template] line {}: the string has no end", line);
      if (peek(size) == '\\') {
        size = read_escape(size, text);
      } else {
        text += peek(size++);
      }
    }
    push(TokenKind::kString, std::move(text));
    advance(size + 1);
  }

  /// One backslash sequence of Python at `offset`; returns the offset behind it.
  size_t read_escape(size_t offset, std::string& out) {
    static constexpr std::string_view kFrom = "\\'\"abfnrtv", kTo = "\\'\"\a\b\f\n\r\t\v";
    check(at_ + offset + 1 < source_.size(), "[chat template] line {}: the string has no end",
          line_);
    const char c = peek(offset + 1);
    if (c == '\n') return offset + 2;
    if (const size_t known = kFrom.find(c); known != std::string_view::npos) {
      out += kTo[known];
      return offset + 2;
    }
    if (c == 'x') return read_code_point(offset + 2, 16, 2, 2, out);
    if (c == 'u') return read_code_point(offset + 2, 16, 4, 4, out);
    if (c == 'U') return read_code_point(offset + 2, 16, 8, 8, out);
    if (digit_value(c) < 8) return read_code_point(offset + 1, 8, 1, 3, out);
    check(c != 'N', "[chat template] line {}: \\N escapes are not supported", line_);
    out += '\\';  // Python keeps an unknown escape as it stands
    return offset + 1;
  }

  size_t read_code_point(size_t offset, int base, int least, int most, std::string& out) {
    uint32_t value = 0;
    int digits = 0;
    while (digits < most && digit_value(peek(offset)) < base) {
      value =
          value * static_cast<uint32_t>(base) + static_cast<uint32_t>(digit_value(peek(offset)));
      ++digits;
      ++offset;
    }
    const bool scalar = value < 0xD800 || (value > 0xDFFF && value <= 0x10FFFF);
    check(digits >= least && scalar, "[chat template] line {}: a bad escape in a string", line_);
    append_utf8(out, value);
    return offset;
  }

  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::string brackets_;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  check(is_valid_utf8(source), "[chat template] the source is not UTF-8");
  return Lexer(source).run();
}

}  // namespace moge::text::jinja
