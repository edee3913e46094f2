// The bricks of every matrix product C_MN = A_MK * B_KN: packing, and one packed block of rows
// times packed panels of columns. ops/linear cuts products into such blocks.
//
// K is counted in units of 4 bytes: one fp32 or a pair of bf16.
// Packed B: panels of `panel_columns`, [N / panel][K units][panel], columns past N are zero.
// Packed A: tiles of at most `tile_rows` rows; within a tile, segment by segment, chunks of 16
// units. Where memory's rows are A's rows a chunk is [tile_rows][16], where they are A's columns it
// is [16][tile_rows]: what lies together in memory stays together and nothing is transposed.
//
// Order of sums: K is cut into segments. An element is one chain of fused multiply-adds from zero
// over a segment; the segments of a part are added in order; the parts form a binary tree. Rows,
// columns, tiles and threads have no say in it. A pair of bf16 adds its odd element first, then the
// even one, subnormals being zero: what dpbf16 does, so all instruction sets with fused
// multiply-adds give one result.
#pragma once

#include <cstdint>

#include "moge/core/scalar.h"

namespace moge::kernels {

constexpr int kGemmChunk = 16;          // units of packed A that stay together: 64 bytes
constexpr int kGemmSegmentUnits = 512;  // longest chain of one accumulator
constexpr int kGemmPartialTiles = 4;  // three levels of the tree over eight parts, one running sum

struct GemmSegment;  // kernels/gemm_block.h
struct GemmBlock;

/// One element type on one instruction set. `ld` in elements, k in elements, `packed` in 4-byte
/// units. Row r of memory is row index[r] of what lies there, where an index is given.
struct GemmKernels {
  int tile_rows, panel_columns;
  int unit_elements;  ///< K values in one unit: 1 or 2
  int a_floats;       ///< floats that a unit takes in packed A: 1, or 2 where pairs are split

  /// B[k][n] = w[n * ld + k]: a weight's rows are the columns (forward).
  void (*pack_b_rows)(const void* w, int64_t ld, int columns, int k, void* packed) noexcept;
  /// B[k][n] = w[k * ld + n] (input and weight gradients).
  void (*pack_b_columns)(const void* w, int64_t ld, const int32_t* index, int columns, int k,
                         void* packed) noexcept;
  /// A[m][k] = x[m * ld + k] (forward and input gradient).
  void (*pack_a_rows)(const void* x, int64_t ld, const int32_t* index, int rows, int k,
                      const GemmSegment* segments, int num_segments, void* packed) noexcept;
  /// A[m][k] = x[k * ld + m], one segment (weight gradient).
  void (*pack_a_columns)(const void* x, int64_t ld, const int32_t* index, int rows, int k,
                         void* packed) noexcept;
  void (*multiply)(const GemmBlock& block) noexcept;
  /// sum_N[n] += sum over k of x[k * ld + n], in blocks of kGemmSegmentUnits rows.
  void (*add_column_sums)(const void* x, int64_t ld, int columns, int64_t k, float* sum_N) noexcept;
};

/// Tiles of a block of rows, and the first row of tile t: as even as possible, none above
/// tile_rows.
static inline int gemm_num_tiles(int rows, int tile_rows) {
  return (rows + tile_rows - 1) / tile_rows;
}
static inline int gemm_tile_begin(int rows, int tiles, int t) {
  return static_cast<int>(static_cast<int64_t>(rows) * t / tiles);
}

}  // namespace moge::kernels
