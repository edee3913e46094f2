// Packing of both operands (layouts: kernels/gemm.h).
#pragma once

#include <utility>  // index_sequence: a type only

#include "moge/kernels/cpu/gemm_format.inl"
#include "moge/kernels/gemm.h"

namespace {

using moge::kernels::gemm_num_tiles;
using moge::kernels::gemm_tile_begin;
using moge::kernels::GemmSegment;

constexpr int kTileRows =
    kLanes == 16 ? 14 : 6;  // two vectors a row and the sums fill the registers
constexpr int kPanel = 2 * kLanes;

/// Floats of a row, and of a tile, within one chunk of packed A.
template <class F>
constexpr int kRowFloats = kGemmChunk* F::kFactors;
template <class F>
constexpr int kChunkFloats = kTileRows* kRowFloats<F>;

/// One step of a transposition: swaps the blocks of `kStep` lanes off the diagonal of a and b.
template <int kStep, size_t... kLane>
inline void exchange(Vec& a, Vec& b, std::index_sequence<kLane...>) {
  const Vec upper =
      __builtin_shufflevector(a, b, (kLane & kStep ? kLanes + kLane - kStep : kLane)...);
  b = __builtin_shufflevector(a, b, (kLane & kStep ? kLanes + kLane : kLane + kStep)...);
  a = upper;
}

template <int kStep>
inline __attribute__((always_inline)) void transpose_step(Vec (&rows)[kLanes]) {
  if constexpr (kStep < kLanes) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i)
      if (!(i & kStep))
        exchange<kStep>(rows[i], rows[i + kStep], std::make_index_sequence<kLanes>());
    transpose_step<2 * kStep>(rows);
  }
}

template <class F>
void pack_b_rows(const void* w, int64_t ld, int columns, int k, void* packed) noexcept {
  const auto* source = static_cast<const typename F::Source*>(w);
  auto* out = static_cast<float*>(packed);
  const int units = num_units<F>(k);
  for (int n0 = 0; n0 < columns; n0 += kPanel, out += int64_t{units} * kPanel)
    for (int u = 0; u < units; u += kLanes)
      for (int half = 0; half < kPanel; half += kLanes) {
        Vec block[kLanes];
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) {
          const int n = n0 + half + i;
          block[i] = n < columns
                         ? units_along_k<F>(source + n * ld + u * F::kUnit, k - u * F::kUnit)
                         : Vec{};
        }
        transpose_step<1>(block);
        const int present = units - u < kLanes ? units - u : kLanes;
        float* to = out + int64_t{u} * kPanel + half;
#pragma GCC unroll 16
        for (int j = 0; j < kLanes; ++j)
          if (j < present) store(to + j * kPanel, block[j]);
      }
}

template <class F>
void pack_b_columns(const void* w, int64_t ld, int columns, int k, void* packed) noexcept {
  const auto* source = static_cast<const typename F::Source*>(w);
  const int units = num_units<F>(k);
  for (int u = 0; u < units; ++u, source += ld * F::kUnit) {
    float* to = static_cast<float*>(packed) + int64_t{u} * kPanel;
    for (int n0 = 0; n0 < columns; n0 += kPanel, to += int64_t{units} * kPanel)
      for (int half = 0; half < kPanel; half += kLanes) {
        const int n = n0 + half;
        store(to + half, n < columns
                             ? units_across_k<F>(source + n, ld, columns - n, k - u * F::kUnit)
                             : Vec{});
      }
  }
}

template <class F>
void pack_a_rows(const void* x, int64_t ld, int rows, int k, const GemmSegment* segments,
                 int num_segments, void* packed) noexcept {
  const auto* source = static_cast<const typename F::Source*>(x);
  const GemmSegment& end = segments[num_segments - 1];
  const int64_t tile_floats =
      int64_t{end.chunk + (end.units + kGemmChunk - 1) / kGemmChunk} * kChunkFloats<F>;
  const int tiles = gemm_num_tiles(rows, kTileRows);
  for (int t = 0, m = 0; t < tiles; ++t)
    for (int first = m, next = gemm_tile_begin(rows, tiles, t + 1); m < next; ++m)
      for (int s = 0; s < num_segments; ++s) {
        const int begin = segments[s].begin, units = segments[s].units;
        float* to = static_cast<float*>(packed) + t * tile_floats +
                    int64_t{segments[s].chunk} * kChunkFloats<F> + (m - first) * kRowFloats<F>;
        for (int u = 0; u < units; u += kGemmChunk, to += kChunkFloats<F>)
          for (int i = 0; i < kGemmChunk; i += kLanes) {
            const int at = (begin + u + i) * F::kUnit;
            F::store_a(to + i, units_along_k<F>(source + m * ld + at, k - at));
          }
      }
}

/// kLanes units of kLanes rows: A's columns are memory's rows.
template <class F>
inline void transpose_a(const typename F::Source* source, int64_t ld, int rows, int k, float* to,
                        int rows_to) {
  Vec block[kLanes];
#pragma GCC unroll 16
  for (int j = 0; j < kLanes; ++j) {
    const int row = j * F::kUnit;
    block[j] = row < k ? units_across_k<F>(source + row * ld, ld, rows, k - row) : Vec{};
  }
  transpose_step<1>(block);
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i)
    if (i < rows_to) F::store_a(to + i * kRowFloats<F>, block[i]);
}

template <class F>
void pack_a_columns(const void* x, int64_t ld, int rows, int k, void* packed) noexcept {
  const auto* source = static_cast<const typename F::Source*>(x);
  const int units = num_units<F>(k), tiles = gemm_num_tiles(rows, kTileRows);
  const int64_t tile_floats = int64_t{(units + kGemmChunk - 1) / kGemmChunk} * kChunkFloats<F>;
  auto* chunk_out = static_cast<float*>(packed);
  for (int chunk = 0; chunk < units; chunk += kGemmChunk, chunk_out += kChunkFloats<F>)
    for (int t = 0; t < tiles; ++t) {
      const int m0 = gemm_tile_begin(rows, tiles, t), m1 = gemm_tile_begin(rows, tiles, t + 1);
      for (int u = chunk; u < chunk + kGemmChunk && u < units; u += kLanes)
        for (int m = m0; m < m1; m += kLanes)
          transpose_a<F>(source + int64_t{u} * F::kUnit * ld + m, ld, rows - m, k - u * F::kUnit,
                         chunk_out + t * tile_floats + (m - m0) * kRowFloats<F> + (u - chunk),
                         m1 - m);
    }
}

}  // namespace
