// A text cut into pieces on its way to the model: added tokens with their id, the rest still text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moge::text {

/// Bytes [begin, end) of the text; an added token has its id and no bytes that matter.
struct Piece {
  uint32_t begin = 0, end = 0;
  int32_t id = -1;
  uint32_t head = 0;  ///< leading bytes that stem from the first character of the user's text
};

struct Pieces {
  std::string text;
  std::vector<Piece> list;

  std::string_view view(const Piece& p) const {
    return std::string_view(text).substr(p.begin, p.end - p.begin);
  }
  void add_token(int32_t id) {
    const auto at = static_cast<uint32_t>(text.size());
    list.push_back({at, at, id, 0});
  }
};

/// The 256 bytes as visible characters, as byte-level vocabularies spell them.
class ByteAlphabet {
 public:
  /// The character of a byte: itself where it is visible Latin-1, else U+0100 on in order.
  static char32_t character(unsigned char byte);
  /// The byte of a character, or -1.
  static int byte(char32_t character);
};

/// Every byte of `text` spelled with the byte alphabet.
std::string spell_bytes(std::string_view text);

}  // namespace moge::text
