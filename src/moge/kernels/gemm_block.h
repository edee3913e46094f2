// One packed block of rows times packed panels of columns: what GemmKernels::multiply takes
// (layouts and order of sums: kernels/gemm.h).
#pragma once

#include "moge/kernels/gemm.h"

namespace moge::kernels {

/// A run of K that a tile sums from zero, and what happens to that sum.
struct GemmSegment {
  int begin;       ///< first unit
  int units;       ///< at most kGemmSegmentUnits
  int chunk;       ///< its first chunk; a tile of packed A begins with the first segment packed
  bool continues;  ///< add it to the segments of the same part before it
  bool ends_part;  ///< then this part is complete ...
  int joins;       ///< ... and joins this many complete subtrees of its own size
  bool last;       ///< then the sum is complete
};

/// Rows of memory that are packed next: fetched into the second-level cache meanwhile.
struct GemmNextRows {
  const char* data = nullptr;
  const int32_t* index = nullptr;  ///< row i is memory's row index[i]
  int64_t count = 0;
  int64_t stride_bytes = 0, row_bytes = 0;
};

struct GemmBlock {
  const void* a_packed;
  bool a_by_columns;  ///< packed by pack_a_columns: a unit's rows are filled up to whole vectors
  const void* b_packed;
  int rows;
  int columns;  ///< of C
  int units;    ///< K units of a panel
  int chunks;   ///< chunks of a tile of A
  const GemmSegment* segments;
  int num_segments;
  float* partials;      ///< kGemmPartialTiles * tile_rows * panel_columns floats per tile of A ...
  bool panel_partials;  ///< ... and of C: what `segments` leave unfinished is kept for a later call
  void* c;              ///< fp32, or bf16 if c_is_bf16
  int64_t c_stride;
  bool c_is_bf16;
  bool swiglu;        ///< a panel's halves hold gate and up: C = silu(gate) * up
  bool accumulate;    ///< C += instead of C =
  const float* bias;  ///< [columns] or null
  GemmNextRows next;
  bool b_streams;       ///< B comes from memory: panel by panel, fetched while the last one is used
  const float* next_b;  ///< what is read after that; may be null
};

}  // namespace moge::kernels
