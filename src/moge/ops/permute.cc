// Sorting by expert, permute and combine (kernels/permute.h). T tokens, K slots, R = T*K routed
// rows, D model dim, E experts.
#include "moge/ops/moe.h"

#include <algorithm>

#include "moge/ops/rows.h"
#include "moge/runtime/profiler.h"

namespace moge {

namespace {

constexpr int64_t kSortTokens = 1024;  // tokens of a counting block

void check_slots(int64_t K, int64_t G) {
  check(K >= 1 && K <= kernels::kMaxSlots, "[combine] {} slots, want 1 to {}", K,
        kernels::kMaxSlots);
  check(G >= 1 && K % G == 0, "[combine] {} slots do not divide into {} groups", K, G);
}

void check_rows(const Tensor& rows_RD, const Tensor& row_of_TK, int64_t D, const char* op) {
  check(row_of_TK.rank == 2, "[{}] row_of is {}, want [T, K]", op, row_of_TK);
  check_dense(row_of_TK, {row_of_TK.dim(0), row_of_TK.dim(1)}, DType::kI32, op, "row_of");
  check_shape(rows_RD, {row_of_TK.numel(), D}, op, "rows");
}

}  // namespace

void sort_by_expert(const Context& context, const Tensor& ids_TK, int64_t num_experts,
                    const Tensor& offsets_E1, const Tensor& row_of_TK, const Tensor& token_of_R) {
  const OpTimer timer("sort by expert");
  check(ids_TK.rank == 2, "[sort] ids are {}, want [T, K]", ids_TK);
  const int64_t T = ids_TK.dim(0), K = ids_TK.dim(1), E = num_experts;
  check_dense(ids_TK, {T, K}, DType::kI32, "sort", "ids");
  check_dense(offsets_E1, {E + 1}, DType::kI32, "sort", "offsets");
  check_dense(row_of_TK, {T, K}, DType::kI32, "sort", "row_of");
  check_dense(token_of_R, {T * K}, DType::kI32, "sort", "token_of");
  check(T * K <= INT32_MAX, "[sort] {} routed rows are more than 2^31 - 1", T * K);
  const int32_t* ids = ids_TK.as<int32_t>();
  const int64_t blocks = (T + kSortTokens - 1) / kSortTokens;
  ArenaScope scope(context.scratch);
  int32_t* next = context.scratch.allocate<int32_t>(blocks * E);  // counts, then next row
  const auto slots_of = [&](int64_t block) {
    return std::pair(block * kSortTokens * K, std::min(T, (block + 1) * kSortTokens) * K);
  };
  context.threads.parallel_for(blocks, [&](int64_t block, int) {
    int32_t* count_E = next + block * E;
    std::fill(count_E, count_E + E, 0);
    const auto [begin, end] = slots_of(block);
    for (int64_t i = begin; i < end; ++i) {
      check(ids[i] >= 0 && ids[i] < E, "[sort] expert {} of token {} is outside [0, {})", ids[i],
            i / K, E);
      ++count_E[ids[i]];
    }
  });
  int32_t row = 0;
  for (int64_t e = 0; e < E; ++e) {
    offsets_E1.as<int32_t>()[e] = row;
    for (int64_t block = 0; block < blocks; ++block) {
      const int32_t count = next[block * E + e];
      next[block * E + e] = row;
      row += count;
    }
  }
  offsets_E1.as<int32_t>()[E] = row;
  context.threads.parallel_for(blocks, [&](int64_t block, int) {
    int32_t* next_E = next + block * E;
    const auto [begin, end] = slots_of(block);
    for (int64_t i = begin; i < end; ++i) {
      const int32_t r = next_E[ids[i]]++;
      row_of_TK.as<int32_t>()[i] = r;
      token_of_R.as<int32_t>()[r] = static_cast<int32_t>(i / K);
    }
  });
}

void permute_forward(const Context& context, const Tensor& x_TD, const Tensor& token_of_R,
                     const Tensor& rows_RD) {
  const OpTimer timer("permute");
  check(rows_RD.rank == 2 && x_TD.rank == 2, "[permute] x is {} and rows are {}, want matrices",
        x_TD, rows_RD);
  const int64_t R = rows_RD.dim(0), D = rows_RD.dim(1);
  check_shape(x_TD, {x_TD.dim(0), D}, "permute", "x");
  check_dense(token_of_R, {R}, DType::kI32, "permute", "token_of");
  check(x_TD.dtype == rows_RD.dtype, "[permute] x is {} but rows are {}", x_TD, rows_RD);
  const int element = static_cast<int>(size_of(x_TD.dtype));
  for_row_blocks(context, R, D * element * 2, [&](int64_t begin, int64_t end) {
    context.kernels.permute.forward({.x = rows_from(x_TD, 0),
                                     .token_of_R = token_of_R.as<int32_t>() + begin,
                                     .rows = rows_to(rows_RD, begin),
                                     .R = end - begin,
                                     .row_bytes = D * element,
                                     .element_bytes = element});
  });
}

namespace {

void sum_slots(const Context& context, const Tensor& rows_RD, const Tensor& row_of_TK,
               const float* weights_TK, int64_t G, bool accumulate, const Tensor& y_TD) {
  const int64_t T = row_of_TK.dim(0), K = row_of_TK.dim(1), D = y_TD.dim(1);
  check_slots(K, G);
  check(y_TD.dtype == DType::kF32, "[combine] y is {}, want float32", y_TD);
  const auto kernel = context.kernels.permute.combine_forward[type_index(rows_RD, "combine")];
  for_row_blocks(context, T, (K + 1) * D * 4, [&](int64_t begin, int64_t end) {
    kernel({.rows = rows_from(rows_RD, 0),
            .row_of_TK = row_of_TK.as<int32_t>() + begin * K,
            .weights_TK = weights_TK ? weights_TK + begin * K : nullptr,
            .accumulate = accumulate,
            .y = rows_to(y_TD, begin),
            .T = end - begin,
            .D = D,
            .K = static_cast<int>(K),
            .G = static_cast<int>(G)});
  });
}

}  // namespace

void permute_backward(const Context& context, const Tensor& drows_RD, const Tensor& row_of_TK,
                      const Tensor& dx_TD) {
  check(dx_TD.rank == 2, "[permute] dx is {}, want [T, D]", dx_TD);
  check_rows(drows_RD, row_of_TK, dx_TD.dim(1), "permute");
  check_shape(dx_TD, {row_of_TK.dim(0), dx_TD.dim(1)}, "permute", "dx");
  sum_slots(context, drows_RD, row_of_TK, /*weights_TK=*/nullptr, /*G=*/row_of_TK.dim(1),
            /*accumulate=*/true, dx_TD);
}

void combine_forward(const Context& context, const Tensor& rows_RD, const Tensor& row_of_TK,
                     const Tensor& weights_TK, int64_t num_groups, bool accumulate,
                     const Tensor& y_TD) {
  const OpTimer timer("combine");
  check(y_TD.rank == 2, "[combine] y is {}, want [T, D]", y_TD);
  check_rows(rows_RD, row_of_TK, y_TD.dim(1), "combine");
  const int64_t T = row_of_TK.dim(0), K = row_of_TK.dim(1);
  check_shape(y_TD, {T, y_TD.dim(1)}, "combine", "y");
  check_dense(weights_TK, {T, K}, DType::kF32, "combine", "weights");
  sum_slots(context, rows_RD, row_of_TK, weights_TK.as<float>(), num_groups, accumulate, y_TD);
}

void combine_backward(const Context& context, const Tensor& dy_TD, const Tensor& rows_RD,
                      const Tensor& row_of_TK, const Tensor& weights_TK, const Tensor& drows_RD,
                      const Tensor& dweights_TK) {
  check(dy_TD.rank == 2, "[combine] dy is {}, want [T, D]", dy_TD);
  check_rows(rows_RD, row_of_TK, dy_TD.dim(1), "combine");
  check_rows(drows_RD, row_of_TK, dy_TD.dim(1), "combine");
  const int64_t T = row_of_TK.dim(0), K = row_of_TK.dim(1), D = dy_TD.dim(1);
  check_slots(K, 1);
  check_shape(dy_TD, {T, D}, "combine", "dy");
  check_dense(weights_TK, {T, K}, DType::kF32, "combine", "weights");
  check_dense(dweights_TK, {T, K}, DType::kF32, "combine", "dweights");
  const auto kernel = context.kernels.permute.combine_backward[type_index(
      dy_TD, "combine")][type_index(rows_RD, "combine")][type_index(drows_RD, "combine")];
  for_row_blocks(context, T, (2 * K + 1) * D * 4, [&](int64_t begin, int64_t end) {
    kernel({.dy = rows_from(dy_TD, begin),
            .rows = rows_from(rows_RD, 0),
            .row_of_TK = row_of_TK.as<int32_t>() + begin * K,
            .weights_TK = weights_TK.as<float>() + begin * K,
            .drows = rows_to(drows_RD, 0),
            .dweights_TK = dweights_TK.as<float>() + begin * K,
            .T = end - begin,
            .D = D,
            .K = static_cast<int>(K)});
  });
}

namespace {

/// Calls move(slot, row) for every slot of every token.
template <class Move>
void for_slots(const Context& context, const Tensor& values_TK, const Tensor& row_of_TK,
               const Tensor& values_R, Move move) {
  check(row_of_TK.rank == 2, "[slots] row_of is {}, want [T, K]", row_of_TK);
  const int64_t T = row_of_TK.dim(0), K = row_of_TK.dim(1);
  check_dense(row_of_TK, {T, K}, DType::kI32, "slots", "row_of");
  check_dense(values_TK, {T, K}, DType::kF32, "slots", "values by slot");
  check_dense(values_R, {T * K}, DType::kF32, "slots", "values by row");
  for_row_blocks(context, T, K * 12, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * K; i < end * K; ++i) move(i, row_of_TK.as<int32_t>()[i]);
  });
}

}  // namespace

void slots_to_rows(const Context& context, const Tensor& values_TK, const Tensor& row_of_TK,
                   const Tensor& values_R) {
  for_slots(context, values_TK, row_of_TK, values_R, [&](int64_t slot, int64_t row) {
    values_R.as<float>()[row] = values_TK.as<float>()[slot];
  });
}

void rows_to_slots(const Context& context, const Tensor& values_R, const Tensor& row_of_TK,
                   const Tensor& values_TK) {
  for_slots(context, values_TK, row_of_TK, values_R, [&](int64_t slot, int64_t row) {
    values_TK.as<float>()[slot] = values_R.as<float>()[row];
  });
}

}  // namespace moge
