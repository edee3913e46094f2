// Cutting quantized grouped products into tasks (kernels/gmm.h has the layouts).
#pragma once

#include <span>

#include "moge/kernels/gmm.h"
#include "moge/ops/linear.h"

namespace moge {

/// Rows of group e times the quantized weight of expert e.
struct GmmProduct {
  Weight weight;
  QuantizedRows x;
  const int32_t* index = nullptr;  ///< row r of the groups is x's row index[r]; null: r
  Groups offsets;                  ///< experts + 1 entries

  void* y = nullptr;
  int64_t y_stride = 0;  ///< elements
  kernels::GmmStore store = kernels::GmmStore::kF32;
  const float* bias = nullptr;
  bool accumulate = false;

  bool int4() const { return weight.format == WeightFormat::kW4A8; }
  int64_t num_panels() const;
  int64_t panel_bytes() const { return kernels::gmm_panel_bytes(int4(), weight.k); }
};

/// A part of y that one worker computes alone.
struct GmmTask {
  int32_t expert;
  int32_t row_begin, row_end;
  int32_t panel_begin, panel_end;
};

/// Memory of one worker for tasks of products up to a size.
struct GmmScratch {
  void* rows;
  uint8_t* unpacked;

  GmmScratch(Arena& arena, const kernels::GmmKernels& gmm, int64_t rows, int64_t k);
  static size_t bytes(const kernels::GmmKernels& gmm, int64_t rows, int64_t k);
};

/// Tasks of a product, in the order of its memory.
std::span<GmmTask> make_tasks(const Context& context, const GmmProduct& product);
int64_t cost_of(const GmmProduct& product, const GmmTask& task);
/// `next`: the task that probably follows, whose weights are fetched meanwhile; may be null.
void run_task(const kernels::GmmKernels& gmm, const GmmProduct& product, const GmmTask& task,
              const GmmTask* next, const GmmScratch& scratch);

void run(const Context& context, const GmmProduct& product);
size_t gmm_product_scratch(const Context& context, int64_t rows, int64_t experts, int64_t n,
                           int64_t k);

}  // namespace moge
