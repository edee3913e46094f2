#include "moge/quant/pack.h"

#include <cstring>

namespace moge::quant {

// Words are little-endian, so byte i holds values 2i and 2i + 1.

void pack_row_w4(const int8_t* q, int64_t k, char* words) {
  const int64_t pairs = k / 2, bytes = 4 * packed_words(k);
  for (int64_t i = 0; i < pairs; ++i)
    words[i] = static_cast<char>((q[2 * i] + 8) | ((q[2 * i + 1] + 8) << 4));
  std::memset(words + pairs, 0, static_cast<size_t>(bytes - pairs));
  if (k % 2) words[pairs] = static_cast<char>(q[k - 1] + 8);
}

void unpack_row_w4(const char* words, int64_t k, int8_t* q) {
  const int64_t pairs = k / 2;
  for (int64_t i = 0; i < pairs; ++i) {
    const auto byte = static_cast<uint8_t>(words[i]);
    q[2 * i] = static_cast<int8_t>((byte & 15) - 8);
    q[2 * i + 1] = static_cast<int8_t>((byte >> 4) - 8);
  }
  if (k % 2) q[k - 1] = static_cast<int8_t>((words[pairs] & 15) - 8);
}

}  // namespace moge::quant
