// Vectors of the instruction set that this translation unit is compiled for (GCC extensions).
// MOGE_VECTOR_BYTES is 4 (scalar), 32 (AVX2) or 64 (AVX-512). Everything here stays in an anonymous
// namespace: nothing weak may leave the object file.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "moge/core/scalar.h"

namespace {

using moge::BFloat16;

constexpr int kLanes = MOGE_VECTOR_BYTES / 4;  // fp32 lanes of one vector
typedef float Vec __attribute__((vector_size(MOGE_VECTOR_BYTES)));
typedef float VecU __attribute__((vector_size(MOGE_VECTOR_BYTES), aligned(4)));  // unaligned
typedef int32_t VecI __attribute__((vector_size(MOGE_VECTOR_BYTES)));            // masks, bits
typedef uint32_t VecW __attribute__((vector_size(MOGE_VECTOR_BYTES)));
typedef uint16_t VecH __attribute__((vector_size(MOGE_VECTOR_BYTES / 2)));  // bf16 bits
typedef uint16_t VecHU __attribute__((vector_size(MOGE_VECTOR_BYTES / 2), aligned(2)));

inline Vec load(const float* p) { return *reinterpret_cast<const VecU*>(p); }
inline void store(float* p, Vec v) { *reinterpret_cast<VecU*>(p) = v; }
inline Vec splat(float x) { return x - Vec{}; }  // not +: x - 0 is x for every x and costs nothing

inline Vec widen(VecH bits) { return (Vec)(__builtin_convertvector(bits, VecW) << 16); }
inline Vec load(const BFloat16* p) { return widen(*reinterpret_cast<const VecHU*>(p)); }

/// Rounds to nearest even as BFloat16(float) does; NaN stays NaN.
inline VecH narrow(Vec v) {
  const VecW u = (VecW)v;
  const VecW rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  const VecI is_nan = v != v;
  return __builtin_convertvector(is_nan ? (u >> 16) | 0x40u : rounded, VecH);
}
inline void store(BFloat16* p, Vec v) { *reinterpret_cast<VecHU*>(p) = narrow(v); }

/// a * b + c, in one rounding where the instruction set has it.
inline Vec fma(Vec a, Vec b, Vec c) {
#if MOGE_VECTOR_BYTES == 64
  return (Vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif MOGE_VECTOR_BYTES == 32
  return (Vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}

inline Vec max(Vec a, Vec b) { return a > b ? a : b; }
inline Vec min(Vec a, Vec b) { return a < b ? a : b; }

/// Sum of the lanes by halves: a fixed tree, the same in every call.
inline float sum_lanes(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  return lanes[0];
}

/// Which lanes of a vector exist: all, or the first n of a row's tail. The tail goes through the
/// same vector arithmetic as the rest, absent lanes being 0, so that an element's bits do not
/// depend on where its row ends.
struct All {};
struct First {
  int n;
};
inline Vec load(const float* p, All) { return load(p); }
inline Vec load(const BFloat16* p, All) { return load(p); }
inline void store(float* p, Vec v, All) { store(p, v); }
inline void store(BFloat16* p, Vec v, All) { store(p, v); }
template <class T>
inline Vec load(const T* p, First tail) {
  T lanes[kLanes] = {};
  for (int i = 0; i < tail.n; ++i) lanes[i] = p[i];
  return load(lanes);
}
template <class T>
inline void store(T* p, Vec v, First tail) {
  T lanes[kLanes];
  store(lanes, v);
  for (int i = 0; i < tail.n; ++i) p[i] = lanes[i];
}

/// body(i, lanes) for every vector of [0, n).
template <class Body>
inline void for_vectors(int64_t n, Body body) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, All{});
  if (i < n) body(i, First{static_cast<int>(n - i)});
}

}  // namespace
