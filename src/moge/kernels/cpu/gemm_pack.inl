// Packing of both operands (layouts: kernels/gemm.h).
#pragma once

#include <utility>  // index_sequence: a type only

#include "moge/kernels/cpu/gemm_format.inl"
#include "moge/kernels/gemm_block.h"

namespace {

using moge::kernels::gemm_num_tiles;
using moge::kernels::gemm_tile_begin;
using moge::kernels::GemmSegment;

constexpr int kTileRows =
    kLanes == 16 ? 14 : 6;  // two vectors a row and the sums fill the registers
constexpr int kPanel = 2 * kLanes;

/// Rows that a unit takes by columns: whole vectors, so that packing stores whole lines.
constexpr int kUnitRows = (kTileRows + kLanes - 1) / kLanes * kLanes;

/// Floats of a row (by rows), of a unit (by columns), and of a tile within one chunk of packed A.
template <class F>
constexpr int kRowFloats = kGemmChunk* F::kFactors;
template <class F>
constexpr int kUnitFloats = kUnitRows* F::kFactors;
template <class F>
constexpr int kChunkFloats = kTileRows* kRowFloats<F>;
template <class F>
constexpr int kColumnChunkFloats = kGemmChunk* kUnitFloats<F>;

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
void pack_b_columns(const void* w, int64_t ld, const int32_t* index, int columns, int k,
                    void* packed) noexcept {
  const auto* source = static_cast<const typename F::Source*>(w);
  const int units = num_units<F>(k);
  for (int u = 0; u < units; ++u) {
    const UnitRows<F> rows(source, ld, index, u, k);
    float* to = static_cast<float*>(packed) + int64_t{u} * kPanel;
    for (int n0 = 0; n0 < columns; n0 += kPanel, to += int64_t{units} * kPanel)
      for (int half = 0; half < kPanel; half += kLanes) {
        const int n = n0 + half;
        store(to + half, n < columns ? rows.units(n, columns - n) : Vec{});
      }
  }
}

template <class F>
void pack_a_rows(const void* x, int64_t ld, const int32_t* index, int rows, int k,
                 const GemmSegment* segments, int num_segments, void* packed) noexcept {
  const auto* source = static_cast<const typename F::Source*>(x);
  const GemmSegment& end = segments[num_segments - 1];
  const int chunks = end.chunk - segments[0].chunk + (end.units + kGemmChunk - 1) / kGemmChunk;
  const int64_t tile_floats = int64_t{chunks} * kChunkFloats<F>;
  const int tiles = gemm_num_tiles(rows, kTileRows);
  for (int t = 0, m = 0; t < tiles; ++t)
    for (int first = m, next = gemm_tile_begin(rows, tiles, t + 1); m < next; ++m) {
      const auto* row = source + (index ? index[m] : m) * ld;
      for (int s = 0; s < num_segments; ++s) {
        const int begin = segments[s].begin, units = segments[s].units;
        float* to = static_cast<float*>(packed) + t * tile_floats +
                    int64_t{segments[s].chunk - segments[0].chunk} * kChunkFloats<F> +
                    (m - first) * kRowFloats<F>;
        for (int u = 0; u < units; u += kGemmChunk, to += kChunkFloats<F>)
          for (int i = 0; i < kGemmChunk; i += kLanes) {
            const int at = (begin + u + i) * F::kUnit;
            const Vec units = units_along_k<F>(row + at, k - at);
            store(to + i, F::template factor<0>(units));
            if (F::kFactors > 1) store(to + i + kGemmChunk, F::template factor<1>(units));
          }
      }
    }
}

/// One unit of a tile from row m0 on; `rows` of the block may be read.
template <class F>
inline void pack_a_unit(const UnitRows<F>& unit, int m0, int rows, float* to) {
  for (int m = 0; m < kUnitRows && m0 + m < rows; m += kLanes, to += kLanes) {
    const Vec units = unit.units(m0 + m, rows - m0 - m);
    store(to, F::template factor<0>(units));
    if (F::kFactors > 1) store(to + kUnitRows, F::template factor<1>(units));
  }
}

template <class F>
void pack_a_columns(const void* x, int64_t ld, const int32_t* index, int rows, int k,
                    void* packed) noexcept {
  const auto* source = static_cast<const typename F::Source*>(x);
  const int units = num_units<F>(k), tiles = gemm_num_tiles(rows, kTileRows);
  const int64_t tile_floats =
      int64_t{(units + kGemmChunk - 1) / kGemmChunk} * kColumnChunkFloats<F>;
  auto* to = static_cast<float*>(packed);
  for (int chunk = 0; chunk < units; chunk += kGemmChunk, to += kColumnChunkFloats<F>) {
    const int count = units - chunk < kGemmChunk ? units - chunk : kGemmChunk;
    UnitRows<F> memory[kGemmChunk];
    for (int u = 0; u < count; ++u) memory[u] = UnitRows<F>(source, ld, index, chunk + u, k);
    for (int t = 0; t < tiles; ++t) {
      const int m = gemm_tile_begin(rows, tiles, t);
      float* unit = to + t * tile_floats;
      for (int u = 0; u < count; ++u, unit += kUnitFloats<F>) pack_a_unit(memory[u], m, rows, unit);
    }
  }
}

}  // namespace
