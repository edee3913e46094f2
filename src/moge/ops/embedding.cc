// Embedding lookup and its gradient. T tokens, D model dim, V vocabulary.
#include "moge/ops/elementwise.h"
#include "moge/ops/rows.h"
#include "moge/runtime/profiler.h"

namespace moge {

namespace {
void check_ids(const Tensor& ids_T, int64_t T, int64_t V) {
  check_dense(ids_T, {T}, DType::kI32, "embedding", "ids");
  const int32_t* ids = ids_T.as<int32_t>();
  for (int64_t t = 0; t < T; ++t)
    check(ids[t] >= 0 && ids[t] < V,
          "[embedding] token id {} at position {} is outside the vocabulary of {}", ids[t], t, V);
}
}  // namespace

void embedding_forward(const Context& context, const Tensor& ids_T, const Tensor& table_VD,
                       const Tensor& x_TD) {
  const OpTimer timer("embedding");
  check(x_TD.rank == 2 && x_TD.dtype == DType::kF32, "[embedding] x is {}, want float32 [T, D]",
        x_TD);
  const int64_t T = x_TD.dim(0), D = x_TD.dim(1), V = table_VD.dim(0);
  check_shape(table_VD, {V, D}, "embedding", "table");
  check_ids(ids_T, T, V);
  const int32_t* ids = ids_T.as<int32_t>();
  const auto cast =
      context.kernels.elementwise.cast[type_index(table_VD, "embedding")][kernels::kFp32];
  for_row_blocks(context, T, D * 8, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t)
      cast(rows_from(table_VD, ids[t]).data, rows_to(x_TD, t).data, D);
  });
}

void embedding_backward(const Context& context, const Tensor& ids_T, const Tensor& dx_TD,
                        const Tensor& dtable_VD) {
  check(dx_TD.rank == 2, "[embedding] dx is {}, want [T, D]", dx_TD);
  const int64_t T = dx_TD.dim(0), D = dx_TD.dim(1), V = dtable_VD.dim(0);
  check_shape(dtable_VD, {V, D}, "embedding", "dtable");
  check_ids(ids_T, T, V);
  const int32_t* ids = ids_T.as<int32_t>();
  float* dtable = dtable_VD.as<float>();
  const auto add = context.kernels.elementwise.add[type_index(dx_TD, "embedding")];
  // A task owns a range of columns of the whole table and adds to it in token order.
  constexpr int64_t kColumns = 128;
  context.threads.parallel_for((D + kColumns - 1) / kColumns, [&](int64_t task, int) {
    const int64_t begin = task * kColumns, n = std::min(kColumns, D - begin);
    for (int64_t t = 0; t < T; ++t)
      add(rows_from(dx_TD.cols(begin, begin + n), t).data,
          dtable + ids[t] * dtable_VD.stride[0] + begin, n);
  });
}

}  // namespace moge
