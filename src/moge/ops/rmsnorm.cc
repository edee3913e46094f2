// RMSNorm: shape checks and row blocks (kernels/rmsnorm.h). T rows, H heads, C width.
#include "moge/ops/elementwise.h"
#include "moge/ops/rows.h"
#include "moge/runtime/profiler.h"

namespace moge {

namespace {

struct Shape {
  int64_t T, H, C;
};

Shape shape_of(const Tensor& x) {
  check(x.rank == 2 || x.rank == 3, "[rmsnorm] x is {}, want [T, D] or [T, H, C]", x);
  return {x.dim(0), x.rank == 3 ? x.dim(1) : 1, x.dim(-1)};
}

void check_like(const Tensor& x, const Tensor& y, const char* what) {
  bool same = x.rank == y.rank;
  for (int i = 0; same && i < x.rank; ++i) same = x.shape[i] == y.shape[i];
  check(same, "[rmsnorm] {} is {}, but x is {}", what, y, x);
}

void check_rstd(const Tensor& rstd, Shape s) {
  check(rstd.numel() == s.T * s.H && rstd.dtype == DType::kF32 && rstd.is_dense(),
        "[rmsnorm] rstd is {}, want {} dense float32", rstd, s.T * s.H);
}

}  // namespace

void rmsnorm_forward(const Context& context, const Tensor& x, const Tensor& w, float eps,
                     const Tensor& y, const Tensor& rstd) {
  const OpTimer timer("rmsnorm");
  const auto [T, H, C] = shape_of(x);
  check_like(x, y, "y");
  check_dense(w, {C}, DType::kF32, "rmsnorm", "w");
  if (rstd) check_rstd(rstd, {T, H, C});
  const auto kernel =
      context.kernels.rmsnorm.forward[type_index(x, "rmsnorm")][type_index(y, "rmsnorm")];
  for_row_blocks(context, T, H * C * 8, [&](int64_t begin, int64_t end) {
    kernel({.x = rows_from(x, begin),
            .y = rows_to(y, begin),
            .w_C = w.as<float>(),
            .rstd_TH = rstd ? rstd.as<float>() + begin * H : nullptr,
            .eps = eps,
            .T = end - begin,
            .H = H,
            .C = C});
  });
}

void rmsnorm_backward_input(const Context& context, const Tensor& dy, const Tensor& x,
                            const Tensor& w, const Tensor& rstd, bool accumulate,
                            const Tensor& dx) {
  const auto [T, H, C] = shape_of(x);
  check_like(x, dy, "dy");
  check_like(x, dx, "dx");
  check_dense(w, {C}, DType::kF32, "rmsnorm", "w");
  check_rstd(rstd, {T, H, C});
  const auto kernel = context.kernels.rmsnorm.backward_input[type_index(dy, "rmsnorm")][type_index(
      x, "rmsnorm")][type_index(dx, "rmsnorm")];
  for_row_blocks(context, T, H * C * 12, [&](int64_t begin, int64_t end) {
    kernel({.dy = rows_from(dy, begin),
            .x = rows_from(x, begin),
            .dx = rows_to(dx, begin),
            .w_C = w.as<float>(),
            .rstd_TH = rstd.as<float>() + begin * H,
            .accumulate = accumulate,
            .T = end - begin,
            .H = H,
            .C = C});
  });
}

void rmsnorm_backward_weight(const Context& context, const Tensor& dy, const Tensor& x,
                             const Tensor& rstd, const Tensor& dw) {
  const auto [T, H, C] = shape_of(x);
  check_like(x, dy, "dy");
  check_dense(dw, {C}, DType::kF32, "rmsnorm", "dw");
  check_rstd(rstd, {T, H, C});
  const auto kernel =
      context.kernels.rmsnorm.backward_weight[type_index(dy, "rmsnorm")][type_index(x, "rmsnorm")];
  const SumBlocks blocks(T);
  ArenaScope scope(context.scratch);
  float* sums = context.scratch.allocate<float>(blocks.count() * C);
  context.threads.parallel_for(blocks.count(), [&, H = H, C = C](int64_t i, int) {
    const int64_t begin = blocks.begin(i);
    kernel({.dy = rows_from(dy, begin),
            .x = rows_from(x, begin),
            .rstd_TH = rstd.as<float>() + begin * H,
            .dw_C = sums + i * C,
            .T = blocks.end(i) - begin,
            .H = H,
            .C = C});
  });
  add_block_sums(context, sums, blocks.count(), C, dw.as<float>());
}

}  // namespace moge
