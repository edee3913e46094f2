// Grouped products with packed fp32 or bf16 weights, for inference (layouts and order of sums:
// kernels/gemm.h). A worker's task is rows of one expert times panels of its weight. Panels stream
// from memory into the second-level cache while the rows, packed, wait there.
#pragma once

#include <span>

#include "moge/ops/gmm_product.h"
#include "moge/ops/product.h"

namespace moge {

/// What a task packs and multiplies at a time.
struct PackedPlan {
  const kernels::GemmKernels* gemm = nullptr;
  std::span<kernels::GemmSegment> segments;
  std::span<int32_t> blocks;  ///< of K: rows are packed for segments [blocks[i], blocks[i + 1])
  int64_t panels = 0, panel_floats = 0, width = 0;  ///< width: columns of y a panel makes
  int64_t row_tiles = 0;                            ///< packed at a time
  int64_t tile_floats = 0;                          ///< of the longest block
  int64_t block_panels = 0;                         ///< that meet them, where rows or K are cut

  bool cuts_k() const { return blocks.size() > 2; }
  int64_t block_rows() const { return row_tiles * gemm->tile_rows; }
};

/// Rows of group e times the packed weight of expert e.
struct PackedProduct {
  Weight weight;
  ProductMatrix x, y;
  Groups offsets;       ///< experts + 1 entries
  bool swiglu = false;  ///< of a paired weight: y = silu(gate) * up
  const float* bias = nullptr;
  bool accumulate = false;
  int parts = 1;         ///< of the sum over K: 1, 2, 4 or 8
  PackedPlan plan = {};  ///< made by plan_product

  int64_t columns() const { return swiglu ? weight.n / 2 : weight.n; }
  int64_t panel_bytes() const { return plan.panel_floats * 4; }
};

/// With the plan, whose arrays are in the context's scratch.
PackedProduct plan_product(const Context& context, PackedProduct product);

/// Memory of one worker for tasks of products, and which rows are packed there: tasks of one expert
/// follow each other.
struct PackedScratch {
  float *a, *partials;
  const PackedProduct* product = nullptr;
  int32_t expert = 0, segment = 0;
  int64_t row_begin = 0, row_end = 0;

  PackedScratch(Arena& arena, const kernels::GemmKernels& gemm, int64_t k);
  static size_t bytes(const kernels::GemmKernels& gemm, int64_t k);
};

GmmCut cut_of(const Context& context, const PackedProduct& product);
/// `next`: the task that probably follows, whose weights are fetched meanwhile; may be null.
void run_task(const PackedProduct& product, const GmmTask& task, const GmmTask* next,
              PackedScratch& scratch);

void run(const Context& context, const PackedProduct& product);
/// Bounds for either dtype: of plan_product, and of run.
size_t packed_plan_scratch(int64_t k);
size_t packed_product_scratch(const Context& context, int64_t experts, int64_t n, int64_t k);

}  // namespace moge
