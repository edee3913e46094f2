// Characters of a text, one at a time, for the parsers of expressions and grammars.
#pragma once

#include <string>
#include <string_view>

#include "moge/core/error.h"
#include "moge/text/utf8.h"

namespace moge::grammar {

class CharReader {
 public:
  /// Throws Error if the text is no UTF-8; errors begin with `what`.
  CharReader(std::string_view text, std::string what) : text_(text), what_(std::move(what)) {
    check(text::is_valid_utf8(text), "{} is not UTF-8", what_);
  }

  bool done() const { return at_ == text_.size(); }
  size_t at() const { return at_; }
  void go_back_to(size_t at) { at_ = at; }
  std::string_view rest() const { return text_.substr(at_); }
  char peek() const { return done() ? '\0' : text_[at_]; }
  bool sees(std::string_view next) const { return rest().starts_with(next); }
  bool take(std::string_view next) {
    if (!sees(next)) return false;
    at_ += next.size();
    return true;
  }
  char32_t next() {
    if (done()) refuse("ends too early");
    const text::CodePoint c = text::decode_utf8(rest());
    at_ += static_cast<size_t>(c.size);
    return c.value;
  }
  /// A number below 10^9; refuses when there is none.
  int32_t number() {
    int64_t value = 0;
    const size_t from = at_;
    for (; !done() && peek() >= '0' && peek() <= '9'; ++at_) {
      value = value * 10 + (peek() - '0');
      if (value >= 1'000'000'000) refuse("has too large a number");
    }
    if (at_ == from) refuse("lacks a number");
    return static_cast<int32_t>(value);
  }
  /// Exactly so many hexadecimal digits.
  char32_t hex(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const char c = peek();
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) refuse("lacks a hexadecimal digit");
      value = value * 16 + static_cast<char32_t>(digit);
      ++at_;
    }
    if (value > 0x10FFFF) refuse("has a character beyond U+10FFFF");
    return value;
  }

  [[noreturn]] void refuse(std::string_view why) const {
    fail("{} {} at byte {}", what_, why, at_);
  }

 private:
  std::string_view text_;
  std::string what_;
  size_t at_ = 0;
};

}  // namespace moge::grammar
