// Cutting grouped products into tasks, packing and threading; linear.cc has the checks.
// A product is C = A * B; rows, columns and depth are those of C and of the sum.
#pragma once

#include "moge/kernels/gemm.h"
#include "moge/ops/context.h"
#include "moge/ops/linear.h"

namespace moge {

/// Row-major elements; `stride` in elements between rows.
struct ProductMatrix {
  char* data = nullptr;
  int64_t stride = 0;
  DType dtype = DType::kF32;

  static ProductMatrix of(const Tensor& tensor) {
    return {static_cast<char*>(tensor.data), tensor.row_stride(), tensor.dtype};
  }
  char* at(int64_t row, int64_t column) const {
    return data + (row * stride + column) * (dtype == DType::kBF16 ? 2 : 4);
  }
};

/// Where B of a group comes from.
enum class WeightUse : uint8_t {
  kRowsAreColumns,  ///< B = w^T, row-major w (forward)
  kAsStored,        ///< B = w, row-major w (input gradient)
  kPacked,          ///< B = w^T, panels made by pack_weight
};

/// Rows of group e times B of group e.
struct RowsProduct {
  ProductMatrix a, c;
  Weight weight;
  WeightUse use = WeightUse::kRowsAreColumns;
  const float* bias = nullptr;
  bool accumulate = false;
  int parts = 1;  ///< of the sum: 1, 2, 4 or 8

  int64_t columns() const { return use == WeightUse::kAsStored ? weight.k : weight.n; }
  int64_t depth() const { return use == WeightUse::kAsStored ? weight.n : weight.k; }
};

/// C of group e [rows, columns] += A^T B over the group's rows; C is fp32 and dense.
struct DepthProduct {
  ProductMatrix a, b;
  float* c = nullptr;
  int64_t experts = 1, rows = 0, columns = 0;
};

const kernels::GemmKernels& gemm_of(const kernels::Table& table, DType dtype);

/// `offsets` has experts + 1 entries.
void run(const Context& context, const RowsProduct& product, Groups offsets);
void run(const Context& context, const DepthProduct& product, Groups offsets);

/// Bounds of the scratch that run() takes, for either dtype.
size_t rows_product_scratch(const Context& context, int64_t experts, int64_t columns,
                            int64_t depth);
size_t depth_product_scratch(const Context& context, int64_t experts, int64_t rows,
                             int64_t columns);

}  // namespace moge
