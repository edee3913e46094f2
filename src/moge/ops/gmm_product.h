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
  int32_t rows_id, slice;  ///< which rows, which columns: tasks of one rows_id make whole rows
};

/// How a grouped product is cut into tasks: the same slices of panels for all experts; rows only
/// where slices are too few to share out.
struct GmmCut {
  Groups offsets;
  int64_t panels = 0, panel_bytes = 0;
  int64_t panels_per_slice = 0;

  GmmCut() = default;
  GmmCut(const Context& context, Groups offsets, int64_t panels, int64_t panel_bytes,
         int64_t slice_bytes);
  int64_t slices() const { return (panels + panels_per_slice - 1) / panels_per_slice; }
};

struct GmmTasks {
  std::span<GmmTask> tasks;
  int64_t num_rows_ids = 0;
};
/// Tasks in the order of the weights' memory.
GmmTasks make_tasks(const Context& context, const GmmCut& cut);
size_t make_tasks_scratch(const Context& context, int64_t experts, int64_t panels);
int64_t cost_of(const GmmTask& task, int64_t panel_bytes);

/// Memory of one worker for tasks of products up to a size.
struct GmmScratch {
  void* rows;
  uint8_t* unpacked;

  GmmScratch(Arena& arena, const kernels::GmmKernels& gmm, int64_t rows, int64_t k);
  static size_t bytes(const kernels::GmmKernels& gmm, int64_t rows, int64_t k);
};

GmmCut cut_of(const Context& context, const GmmProduct& product);
/// `next`: the task that probably follows, whose weights are fetched meanwhile; may be null.
void run_task(const kernels::GmmKernels& gmm, const GmmProduct& product, const GmmTask& task,
              const GmmTask* next, const GmmScratch& scratch);

void run(const Context& context, const GmmProduct& product);
size_t gmm_product_scratch(const Context& context, int64_t rows, int64_t experts, int64_t n,
                           int64_t k);

}  // namespace moge
