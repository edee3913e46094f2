// Cutting grouped products into tasks, packing and threading; linear.cc has the checks.
// A product is C = A * B; rows, columns and depth are those of C and of the sum.
#pragma once

#include "moge/kernels/gemm_block.h"
#include "moge/ops/context.h"
#include "moge/ops/linear.h"

namespace moge {

/// Row-major elements; `stride` in elements between rows. Where there is an index, row r is
/// memory's row index[r].
struct ProductMatrix {
  char* data = nullptr;
  int64_t stride = 0;
  DType dtype = DType::kF32;
  const int32_t* index = nullptr;

  static ProductMatrix of(const Tensor& tensor, const Tensor& rows = {}) {
    return {static_cast<char*>(tensor.data), tensor.row_stride(), tensor.dtype,
            static_cast<const int32_t*>(rows.data)};
  }
  char* at(int64_t row, int64_t column) const {
    return data + (row * stride + column) * (dtype == DType::kBF16 ? 2 : 4);
  }
  /// Rows from `row` on, as kernels take them.
  char* rows_at(int64_t row, int64_t column) const { return at(index ? 0 : row, column); }
  const int32_t* index_at(int64_t row) const { return index ? index + row : nullptr; }
  /// A part of them, to be fetched before it is packed.
  kernels::GemmNextRows next(int64_t row, int64_t count, int64_t column, int64_t columns) const {
    return {.data = rows_at(row, column),
            .index = index_at(row),
            .count = count,
            .stride_bytes = at(1, 0) - at(0, 0),
            .row_bytes = at(0, columns) - at(0, 0)};
  }
};

/// Where B of a group comes from.
enum class WeightUse : uint8_t {
  kRowsAreColumns,  ///< B = w^T, row-major w (forward)
  kAsStored,        ///< B = w, row-major w (input gradient)
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

/// Bounds of the scratch that run() takes for at most `rows` rows, for either dtype.
size_t rows_product_scratch(const Context& context, int64_t rows, int64_t experts, int64_t columns,
                            int64_t depth);
size_t depth_product_scratch(const Context& context, int64_t depth, int64_t experts, int64_t rows,
                             int64_t columns);

}  // namespace moge
