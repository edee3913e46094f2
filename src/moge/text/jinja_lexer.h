// Template source -> tokens, with the whitespace rules that transformers asks of Jinja: trim_blocks
// (the newline after a block tag goes) and lstrip_blocks (the blanks before one go).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "moge/text/jinja_value.h"

namespace moge::text::jinja {

enum class TokenKind : uint8_t {
  kData,
  kOutputBegin,
  kOutputEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd
};

struct Token {
  TokenKind kind;
  std::string text;  // data, name, decoded string, operator
  int line;
  Value number;

  bool is(TokenKind k, std::string_view t) const { return kind == k && text == t; }
  bool is_op(std::string_view t) const { return is(TokenKind::kOperator, t); }
  bool is_name(std::string_view t) const { return is(TokenKind::kName, t); }
};

/// Ends with a kEnd token. Throws Error with the line of what it cannot read.
std::vector<Token> tokenize(std::string_view source);

}  // namespace moge::text::jinja
