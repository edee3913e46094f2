#include "moge/quant/round.h"

#include <algorithm>
#include <bit>

namespace moge::quant {

namespace {
constexpr uint32_t kInfinity = 0x7f800000u;

/// Largest |w|; as whole numbers, so that a NaN is larger than any.
float absmax(const float* w, int64_t n) {
  int32_t largest = 0;
  for (int64_t i = 0; i < n; ++i)
    largest = std::max(largest, std::bit_cast<int32_t>(w[i]) & 0x7fffffff);
  return std::bit_cast<float>(largest);
}

bool is_finite(float x) { return (std::bit_cast<uint32_t>(x) & kInfinity) != kInfinity; }

/// Adding 1.5 * 2^23 leaves no bit below 1, and the processor rounds half to even.
void round_all(const float* w, int64_t n, float scale, float low, float high, int8_t* q) {
  constexpr float kMagic = 0x1.8p23f;
  for (int64_t i = 0; i < n; ++i) {
    const float clamped = std::min(std::max(w[i] / scale, low), high);
    q[i] = static_cast<int8_t>(std::bit_cast<int32_t>(clamped + kMagic));
  }
}
}  // namespace

bool round_row_w8(const float* w, int64_t k, int8_t* q, float* scale) {
  const float exact = absmax(w, k) / 127.5f;
  *scale = exact == 0.0f ? kZeroScale : exact;
  round_all(w, k, *scale, -128.0f, 127.0f, q);
  return is_finite(*scale);
}

bool round_row_w4(const float* w, int64_t k, int8_t* q, BFloat16* scales) {
  bool finite = true;
  for (int64_t at = 0; at < k; at += kGroupSize, ++scales) {
    const int64_t n = std::min(kGroupSize, k - at);
    const BFloat16 exact(absmax(w + at, n) / 7.5f);
    *scales = exact == BFloat16() ? BFloat16(kZeroScale) : exact;
    const auto scale = static_cast<float>(*scales);
    round_all(w + at, n, scale, -8.0f, 7.0f, q + at);
    finite = finite && is_finite(scale);
  }
  return finite;
}

void expand_row_w8(const int8_t* q, int64_t k, float scale, float* w) {
  for (int64_t i = 0; i < k; ++i) w[i] = static_cast<float>(q[i]) * scale;
}

void expand_row_w4(const int8_t* q, int64_t k, const BFloat16* scales, float* w) {
  for (int64_t at = 0; at < k; at += kGroupSize, ++scales)
    expand_row_w8(q + at, std::min(kGroupSize, k - at), static_cast<float>(*scales), w + at);
}

}  // namespace moge::quant
