// Shared by the small ops: views as kernels want them, row blocks, sums over rows in a fixed order.
#pragma once

#include <algorithm>
#include <cstdint>

#include "moge/ops/context.h"

namespace moge {

/// kFp32 or kBf16; throws for any other type.
inline int type_index(const Tensor& x, const char* op) {
  check(x.dtype == DType::kF32 || x.dtype == DType::kBF16,
        "[{}] {} is neither float32 nor bfloat16", op, x);
  return x.dtype == DType::kBF16 ? kernels::kBf16 : kernels::kFp32;
}

/// Strides of a [T, C] or [T, H, C] view, starting at row `t`.
template <class R>
R rows_of(const Tensor& x, int64_t t = 0) {
  char* data = static_cast<char*>(x.data) + t * x.stride[0] * size_of(x.dtype);
  return {data, x.stride[0], x.rank == 3 ? x.stride[1] : 0};
}
inline kernels::Rows rows_from(const Tensor& x, int64_t t) { return rows_of<kernels::Rows>(x, t); }
inline kernels::MutableRows rows_to(const Tensor& x, int64_t t) {
  return rows_of<kernels::MutableRows>(x, t);
}

inline void check_shape(const Tensor& x, std::initializer_list<int64_t> shape, const char* op,
                        const char* what) {
  bool same = x.rank == static_cast<int>(shape.size());
  for (int i = 0; same && i < x.rank; ++i) same = x.shape[i] == shape.begin()[i];
  if (!same) fail("[{}] {} is {}, want {}", op, what, x, Tensor(nullptr, x.dtype, shape));
}
/// The same and without gaps between rows.
inline void check_dense(const Tensor& x, std::initializer_list<int64_t> shape, DType dtype,
                        const char* op, const char* what) {
  check_shape(x, shape, op, what);
  check(x.dtype == dtype && x.is_dense(), "[{}] {} must be dense {}, not {}{}", op, what,
        name_of(dtype), x, x.is_dense() ? "" : " with gaps");
}

/// Calls task(begin, end) for blocks of rows worth about 64 KiB: enough work to hand out, small
/// enough to balance. Only for ops whose output rows do not depend on each other.
template <class Task>
void for_row_blocks(const Context& context, int64_t num_rows, int64_t bytes_per_row, Task task) {
  const int64_t block = std::max<int64_t>(1, 65536 / std::max<int64_t>(1, bytes_per_row));
  context.threads.parallel_for((num_rows + block - 1) / block, [&](int64_t i, int) {
    task(i * block, std::min(num_rows, (i + 1) * block));
  });
}

/// Row blocks of a sum over rows: at most 64, a function of the number of rows alone, so that the
/// order of the sum is the same for any number of threads.
struct SumBlocks {
  static constexpr int64_t kMaxBlocks = 64, kMinRows = 32;
  explicit SumBlocks(int64_t num_rows)
      : rows(num_rows), block(std::max(kMinRows, (num_rows + kMaxBlocks - 1) / kMaxBlocks)) {}
  int64_t count() const { return (rows + block - 1) / block; }
  int64_t begin(int64_t i) const { return i * block; }
  int64_t end(int64_t i) const { return std::min(rows, (i + 1) * block); }
  int64_t rows, block;
};

/// target_C += the blocks' sums [blocks][width] (overwritten), pairwise: neighbours are added, an
/// odd last one moves up.
void add_block_sums(const Context& context, float* sums, int64_t blocks, int64_t width,
                    float* target_C);

}  // namespace moge
