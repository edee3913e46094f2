// The bricks of every matrix product C_MN = A_MK * B_KN: packing, and one packed block of rows
// times packed panels of columns. ops/linear cuts products into such blocks.
//
// K is counted in units of 4 bytes: one fp32 or a pair of bf16.
// Packed B: panels of `panel_columns`, [N / panel][K units][panel], columns past N are zero.
// Packed A: tiles of at most `tile_rows` rows; within a tile, segment by segment, chunks of 16
// units: [chunk][tile_rows][16], so that a row's 64 bytes stay together and nothing is transposed.
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

/// A run of K that a tile sums from zero, and what happens to that sum.
struct GemmSegment {
  int begin;       ///< first unit
  int units;       ///< at most kGemmSegmentUnits
  int chunk;       ///< its first chunk within a tile of packed A
  bool continues;  ///< add it to the segments of the same part before it
  bool ends_part;  ///< then this part is complete ...
  int joins;       ///< ... and joins this many complete subtrees of its own size
  bool last;       ///< then the sum is complete
};

struct GemmBlock {
  const void* a_packed;
  const void* b_packed;
  int rows, columns;
  int units;   ///< K units of a panel
  int chunks;  ///< chunks of a tile of A
  const GemmSegment* segments;
  int num_segments;
  float* partials;  ///< kGemmPartialTiles * tile_rows * panel_columns floats per tile of the block
  void* c;          ///< fp32, or bf16 if c_is_bf16
  int64_t c_stride;
  bool c_is_bf16;
  bool accumulate;    ///< C += instead of C =
  const float* bias;  ///< [columns] or null
  /// Row-major rows that are packed next, or null: fetched into the second-level cache meanwhile.
  const void* next_rows;
  int64_t next_stride_bytes, next_row_bytes;
};

/// One element type on one instruction set. `ld` in elements, k in elements, `packed` in 4-byte
/// units.
struct GemmKernels {
  int tile_rows, panel_columns;
  int unit_elements;  ///< K values in one unit: 1 or 2
  int a_floats;       ///< floats that a unit takes in packed A: 1, or 2 where pairs are split

  /// B[k][n] = w[n * ld + k]: a weight's rows are the columns (forward).
  void (*pack_b_rows)(const void* w, int64_t ld, int columns, int k, void* packed) noexcept;
  /// B[k][n] = w[k * ld + n] (input and weight gradients).
  void (*pack_b_columns)(const void* w, int64_t ld, int columns, int k, void* packed) noexcept;
  /// A[m][k] = x[m * ld + k] (forward and input gradient).
  void (*pack_a_rows)(const void* x, int64_t ld, int rows, int k, const GemmSegment* segments,
                      int num_segments, void* packed) noexcept;
  /// A[m][k] = x[k * ld + m], one segment (weight gradient).
  void (*pack_a_columns)(const void* x, int64_t ld, int rows, int k, void* packed) noexcept;
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
