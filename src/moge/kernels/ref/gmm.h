// The specification of quantized grouped products: integer sums, then scales. Everything dense and
// row-major; the fast kernels give exactly these bits on every instruction set.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace moge::ref {

// R rows, K input width, N output width; groups of 128 along K.

/// q_K = round(x_K * 127 / absmax), returns the scale absmax / 127.
inline float quantize_row(const float* x_K, int64_t K, int8_t* q_K) {
  uint32_t largest = 0;  // compared as bits: NaN is above every number
  for (int64_t k = 0; k < K; ++k)
    largest = std::max(largest, std::bit_cast<uint32_t>(x_K[k]) & 0x7fffffffu);
  const float absmax = std::bit_cast<float>(largest);
  const float factor = absmax > 0 ? 127.0f / absmax : 0.0f;
  for (int64_t k = 0; k < K; ++k) {
    const float scaled = x_K[k] * factor;
    q_K[k] = std::abs(scaled) < 128.0f ? static_cast<int8_t>(std::nearbyint(scaled)) : 0;
  }
  return absmax / 127.0f;
}

/// One element: integers over the whole of K, then both scales.
inline float dot_w8a8(const int8_t* x_K, float x_scale, const int8_t* w_K, float w_scale,
                      int64_t K) {
  int32_t sum = 0;
  for (int64_t k = 0; k < K; ++k) sum += x_K[k] * w_K[k];
  return static_cast<float>(sum) * w_scale * x_scale;
}

/// One element: integers over each group, a chain of fused multiply-adds over the groups.
inline float dot_w4a8(const int8_t* x_K, float x_scale, const int8_t* w_K, const float* w_scale_G,
                      int64_t K) {
  float sum = 0;
  for (int64_t begin = 0; begin < K; begin += 128) {
    int32_t group = 0;
    for (int64_t k = begin; k < std::min(K, begin + 128); ++k) group += x_K[k] * w_K[k];
    sum = std::fma(static_cast<float>(group), w_scale_G[begin / 128], sum);
  }
  return sum * x_scale;
}

}  // namespace moge::ref
