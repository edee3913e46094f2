#include "moge/text/utf8.h"

namespace moge::text {

namespace {

struct Lead {
  int size;                 // bytes of the whole sequence, 0 for no lead byte
  unsigned char low, high;  // bounds of the second byte: no overlong form, surrogate, > U+10FFFF
};

Lead classify(unsigned char b) {
  if (b < 0x80) return {1, 0, 0};
  if (b < 0xC2) return {0, 0, 0};
  if (b < 0xE0) return {2, 0x80, 0xBF};
  if (b == 0xE0) return {3, 0xA0, 0xBF};
  if (b == 0xED) return {3, 0x80, 0x9F};
  if (b < 0xF0) return {3, 0x80, 0xBF};
  if (b == 0xF0) return {4, 0x90, 0xBF};
  if (b < 0xF4) return {4, 0x80, 0xBF};
  if (b == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

constexpr unsigned char kLeadMask[5] = {0, 0x7F, 0x1F, 0x0F, 0x07};

}  // namespace

CodePoint decode_utf8(std::string_view bytes) {
  const auto first = static_cast<unsigned char>(bytes[0]);
  const Lead lead = classify(first);
  if (lead.size == 0) return {0xFFFD, 1, false, false};
  char32_t value = first & kLeadMask[lead.size];
  for (int i = 1; i < lead.size; ++i) {
    if (i == static_cast<int>(bytes.size())) return {0xFFFD, i, false, true};
    const auto b = static_cast<unsigned char>(bytes[i]);
    const bool fits = i == 1 ? b >= lead.low && b <= lead.high : (b & 0xC0) == 0x80;
    if (!fits) return {0xFFFD, i, false, false};
    value = (value << 6) | (b & 0x3F);
  }
  return {value, lead.size, true, false};
}

void append_utf8(std::string& out, char32_t c) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    tail(6), tail(0);
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    tail(12), tail(6), tail(0);
  }
}

bool is_valid_utf8(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size();) {
    if (static_cast<unsigned char>(bytes[i]) < 0x80) {
      ++i;
      continue;
    }
    const CodePoint c = decode_utf8(bytes.substr(i));
    if (!c.valid) return false;
    i += c.size;
  }
  return true;
}

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (size_t i = 0; i < bytes.size();) {
    const CodePoint c = decode_utf8(bytes.substr(i));
    out += c.valid ? bytes.substr(i, c.size) : kReplacement;
    i += c.size;
  }
  return out;
}

}  // namespace moge::text
