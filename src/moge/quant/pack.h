// 4-bit values as compressed-tensors' pack-quantized stores them: q + 8 in 4 bits, eight of them to
// an int32, the first in the lowest bits. A row is padded to whole words.
#pragma once

#include <cstdint>

namespace moge::quant {

constexpr int64_t packed_words(int64_t k) { return (k + 7) / 8; }

/// One row; `words` has 4 * packed_words(k) bytes and need not be aligned.
void pack_row_w4(const int8_t* q_K, int64_t k, char* words);
void unpack_row_w4(const char* words, int64_t k, int8_t* q_K);

}  // namespace moge::quant
