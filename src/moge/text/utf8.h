// UTF-8: decoding, encoding, and the replacement of bytes that are no UTF-8 by U+FFFD.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace moge::text {

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

/// A decoded character: `size` bytes; `valid` is false for a maximal part of an ill-formed sequence
/// (one U+FFFD stands for it) and `truncated` says that more bytes could still complete it.
struct CodePoint {
  char32_t value = 0;
  int size = 0;
  bool valid = false;
  bool truncated = false;
};

/// Decodes the character at the start of `bytes`, which is not empty.
CodePoint decode_utf8(std::string_view bytes);

/// Appends the UTF-8 form of `c`, a scalar value.
void append_utf8(std::string& out, char32_t c);

bool is_valid_utf8(std::string_view bytes);

/// `bytes` with each maximal ill-formed part replaced by U+FFFD (Unicode 3.9, "best practice").
std::string replace_invalid_utf8(std::string_view bytes);

/// Bytes of the character that starts with `lead` in valid UTF-8.
inline int utf8_length(char lead) {
  const auto b = static_cast<unsigned char>(lead);
  return b < 0x80 ? 1 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
}

}  // namespace moge::text
