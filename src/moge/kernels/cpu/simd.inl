// Vectors of the instruction set that this translation unit is compiled for (GCC extensions).
// MOGE_VECTOR_BYTES is 4 (scalar), 32 (AVX2) or 64 (AVX-512). Everything here stays in an anonymous
// namespace: nothing weak may leave the object file.
#pragma once

#include <cstddef>
#include <cstdint>

#include "moge/core/scalar.h"

namespace {

constexpr int kLanes = MOGE_VECTOR_BYTES / 4;  // fp32 lanes of one vector
typedef float Vec __attribute__((vector_size(MOGE_VECTOR_BYTES)));
typedef float VecU __attribute__((vector_size(MOGE_VECTOR_BYTES), aligned(4)));  // unaligned

inline Vec load(const float* p) { return *reinterpret_cast<const VecU*>(p); }
inline void store(float* p, Vec v) { *reinterpret_cast<VecU*>(p) = v; }
inline Vec splat(float x) { return Vec{} + x; }

/// Sum of the lanes by halves: a fixed tree, the same in every call.
inline float sum_lanes(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  return lanes[0];
}

}  // namespace
