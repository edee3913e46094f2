// The plain form of round.h: what it means, and what tests hold it against.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace moge::quant::ref {

inline float absmax(const std::vector<float>& w) {
  float largest = 0;
  for (float x : w) largest = std::max(largest, std::fabs(x));
  return largest;
}

/// w / scale, clamped to `bits` bits and rounded half to even.
inline int8_t round(float w, float scale, int bits) {
  const auto low = -static_cast<float>(1 << (bits - 1));
  return static_cast<int8_t>(std::nearbyint(std::clamp(w / scale, low, -low - 1)));
}

}  // namespace moge::quant::ref
