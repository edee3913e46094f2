#include "moge/text/pieces.h"

#include <array>

#include "moge/text/utf8.h"

namespace moge::text {

namespace {

bool is_visible(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Tables {
  std::array<char32_t, 256> to_character{};
  std::array<std::string, 256> spelling;
  std::array<int16_t, 512> to_byte;
  Tables() {
    to_byte.fill(-1);
    char32_t next = 0x100;
    for (int b = 0; b < 256; ++b) {
      to_character[b] = is_visible(b) ? static_cast<char32_t>(b) : next++;
      append_utf8(spelling[b], to_character[b]);
      to_byte[to_character[b]] = static_cast<int16_t>(b);
    }
  }
};

const Tables& tables() {
  static const Tables t;
  return t;
}

}  // namespace

char32_t ByteAlphabet::character(unsigned char byte) { return tables().to_character[byte]; }

int ByteAlphabet::byte(char32_t c) { return c < 512 ? tables().to_byte[c] : -1; }

std::string spell_bytes(std::string_view text) {
  const auto& spelling = tables().spelling;
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (const char c : text) out += spelling[static_cast<unsigned char>(c)];
  return out;
}

}  // namespace moge::text
