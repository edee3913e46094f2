// Weights by rounding to nearest, symmetric, in the two formats that the products take:
//   W8A8  q = w / scale in [-128, 127], scale = max |w| / 127.5 of a row (output channel), fp32
//   W4A8  q = w / scale in [-8, 7], scale = max |w| / 7.5 of a group of 128 along K, bf16
// These are the numbers of compressed-tensors' minmax observer and of its quantize(): the quotient
// is clamped and rounded half to even. The weight computed with is q * scale.
// N output width, K input width, G groups of a row.
#pragma once

#include <cstdint>

#include "moge/core/scalar.h"

namespace moge::quant {

constexpr int64_t kGroupSize = 128;
constexpr int64_t num_groups(int64_t k) { return (k + kGroupSize - 1) / kGroupSize; }

/// Scale of a row or group of zeros.
constexpr float kZeroScale = 0x1p-23f;

/// One row of `k` values; false if one of them is not finite or the scale would not be.
[[nodiscard]] bool round_row_w8(const float* w_K, int64_t k, int8_t* q_K, float* scale);

/// The same by groups, the last of which may be short; q one value a byte.
[[nodiscard]] bool round_row_w4(const float* w_K, int64_t k, int8_t* q_K, BFloat16* scale_G);

/// w = q * scale in fp32, exact.
void expand_row_w8(const int8_t* q_K, int64_t k, float scale, float* w_K);
void expand_row_w4(const int8_t* q_K, int64_t k, const BFloat16* scale_G, float* w_K);

}  // namespace moge::quant
