// Activations of the quantized products: rounding rows to s8 and packing them (kernels/gmm.h).
#pragma once

#include "moge/kernels/cpu/simd.inl"
#include "moge/kernels/gmm.h"

namespace {

using moge::kernels::gmm_groups;
using moge::kernels::gmm_num_tiles;
using moge::kernels::gmm_row_bytes;
using moge::kernels::gmm_starts;
using moge::kernels::gmm_tile_begin;
using moge::kernels::GmmQuantize;
using moge::kernels::GmmRows;
using moge::kernels::kGmmGroup;

typedef int32_t VecIU __attribute__((vector_size(MOGE_VECTOR_BYTES), aligned(1), may_alias));
typedef int8_t VecB __attribute__((vector_size(MOGE_VECTOR_BYTES / 4)));
typedef int8_t VecBU __attribute__((vector_size(MOGE_VECTOR_BYTES / 4), aligned(1)));

inline VecI load_words(const void* p) { return *static_cast<const VecIU*>(p); }
inline void store_words(void* p, VecI v) { *static_cast<VecIU*>(p) = v; }
inline VecI splat_word(int32_t x) { return x - VecI{}; }

inline int32_t sum_words(VecI v) {
  int32_t sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += v[i];
  return sum;
}

/// The largest magnitude; compared as bits, so that NaN is above every number.
template <class X>
inline float absmax(const X* x, int64_t k) {
  VecI largest[2] = {};
  int64_t i = 0;
  const auto add = [&](int which, Vec v) {
    const VecI magnitude = (VecI)v & 0x7fffffff;
    largest[which] = magnitude > largest[which] ? magnitude : largest[which];
  };
  for (; i + 2 * kLanes <= k; i += 2 * kLanes) {
    add(0, load(x + i));
    add(1, load(x + i + kLanes));
  }
  for (; i + kLanes <= k; i += kLanes) add(0, load(x + i));
  if (i < k) add(0, load(x + i, First{static_cast<int>(k - i)}));
  int32_t most = 0;
  for (int lane = 0; lane < kLanes; ++lane)
    for (const VecI& v : largest) most = v[lane] > most ? v[lane] : most;
  float result;
  __builtin_memcpy(&result, &most, 4);
  return result;
}

/// round(x * factor) half to even; 0 where x is not finite.
inline VecI round_scaled(Vec x, Vec factor) {
  const Vec magic = splat(12582912.0f);  // 1.5 * 2^23: the sum's low bits are the rounded integer
  const Vec scaled = x * factor;
  const VecI rounded = (VecI)(scaled + magic) - (VecI)magic;
  const Vec magnitude = (Vec)((VecI)scaled & 0x7fffffff);
  return magnitude < 128.0f ? rounded : VecI{};
}

template <class X>
void quantize_row(const X* x, int64_t k, int64_t stride, int8_t* values, float* scale,
                  int32_t* sums) {
  const float largest = absmax(x, k);
  const Vec factor = splat(largest > 0 ? 127.0f / largest : 0.0f);
  *scale = largest / 127.0f;
  for (int64_t begin = 0; begin < k; begin += kGmmGroup) {
    const int64_t end = begin + kGmmGroup < k ? begin + kGmmGroup : k;
    VecI sum{};
    int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      const VecI q = round_scaled(load(x + i), factor);
      sum += q;
      *reinterpret_cast<VecBU*>(values + i) = __builtin_convertvector(q, VecB);
    }
    if (i < end) {
      const VecI q = round_scaled(load(x + i, First{static_cast<int>(end - i)}), factor);
      sum += q;
      for (int64_t lane = 0; lane < end - i; ++lane)
        values[i + lane] = static_cast<int8_t>(q[lane]);
    }
    *sums++ = sum_words(sum);
  }
  for (int64_t i = k; i < stride; ++i) values[i] = 0;
}

template <class X>
void quantize(const GmmQuantize& q) noexcept {
  for (int64_t r = 0; r < q.rows; ++r)
    quantize_row(static_cast<const X*>(q.x) + r * q.x_stride, q.k, q.stride,
                 q.values + r * q.stride, q.scales + r, q.sums + r * gmm_groups(q.k));
}

// How packed rows hold 64 values: as they are, for dot products of bytes; or, for those of 16-bit
// numbers, values 0 and 2 of each unit as a pair, then values 1 and 3 of each unit.
#if defined(MOGE_HAS_VNNI_BF16) || MOGE_VECTOR_BYTES == 4
constexpr int kRowFactor = 1;
inline void pack_chunk(const int8_t* from, int8_t* to) { __builtin_memcpy(to, from, 64); }
#else
constexpr int kRowFactor = 2;
inline void pack_chunk(const int8_t* from, int8_t* to) {
  for (int i = 0; i < 64; i += MOGE_VECTOR_BYTES) {
    const VecI x = load_words(from + i);
    store_words(to + i, ((x << 24 >> 24) & 0xffff) | (x << 8 >> 24 << 16));
    store_words(to + 64 + i, ((x << 16 >> 24) & 0xffff) | (x >> 24 << 16));
  }
}
#endif

// Unsigned weights are 128 (s8) or 8 (s4) too large; high nibbles stay times 16.
inline void pack_starts(const GmmRows& a, int64_t row, int stride, int32_t* starts) {
  const int64_t groups = gmm_groups(a.k);
  const int32_t* sums = a.sums + row * groups;
  int32_t total = 0;
  for (int64_t g = 0; g < groups; ++g) {
    total += sums[g];
    if (a.int4) {
      starts[0] = -8 * sums[g];
      starts[1] = -128 * sums[g];
      starts += stride;
    }
  }
  if (!a.int4) starts[0] = starts[1] = -128 * total;
}

// Rows of a tile: with two vectors of sums a row they fill the registers.
#if MOGE_VECTOR_BYTES == 64
constexpr int kTileRows = kRowFactor == 1 ? 14 : 12;
#else
constexpr int kTileRows = 4;
#endif

void pack_rows(const GmmRows& a, void* packed) noexcept {
  const int64_t row_bytes = gmm_row_bytes(kRowFactor, a.k),
                starts_per_row = gmm_starts(a.int4, a.k);
  auto* data = static_cast<int8_t*>(packed);
  auto* starts = reinterpret_cast<int32_t*>(data + a.rows * row_bytes);
  auto* scales = reinterpret_cast<float*>(starts + a.rows * starts_per_row);
  const int tiles = gmm_num_tiles(a.rows, kTileRows);
  for (int t = 0; t < tiles; ++t) {
    const int begin = gmm_tile_begin(a.rows, tiles, t),
              rows = gmm_tile_begin(a.rows, tiles, t + 1) - begin;
    for (int m = 0; m < rows; ++m) {
      const int64_t row = a.index ? a.index[begin + m] : begin + m;
      int8_t* to = data + begin * row_bytes + m * 64 * kRowFactor;
      for (int64_t k = 0; k < a.k; k += 64, to += rows * 64 * kRowFactor)
        pack_chunk(a.values + row * a.stride + k, to);
      pack_starts(a, row, 2 * rows, starts + begin * starts_per_row + 2 * m);
      scales[begin + m] = a.scales[row];
    }
  }
}

}  // namespace
