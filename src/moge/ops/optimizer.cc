// AdamW and the gradient norm: shape checks and blocks (kernels/adamw.h).
#include "moge/ops/optimizer.h"

#include <cmath>

#include "moge/ops/rows.h"

namespace moge {

namespace {

/// The step's constants, computed in fp64 and rounded once.
kernels::AdamW constants_of(const AdamWOptions& o) {
  const double step = static_cast<double>(o.step);
  return {.grad_scale = o.grad_scale,
          .keep = static_cast<float>(1.0 - double{o.lr} * double{o.weight_decay}),
          .beta1 = o.beta1,
          .one_minus_beta1 = static_cast<float>(1.0 - double{o.beta1}),
          .beta2 = o.beta2,
          .one_minus_beta2 = static_cast<float>(1.0 - double{o.beta2}),
          .step_size = static_cast<float>(double{o.lr} / (1.0 - std::pow(double{o.beta1}, step))),
          .v_scale = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(double{o.beta2}, step))),
          .eps = o.eps};
}

}  // namespace

void adamw_step(const Context& context, const Tensor& w, const Tensor& m, const Tensor& v,
                const Tensor& grad, AdamWOptions options, const Tensor& bf16_copy) {
  const int64_t n = w.numel();
  for (const Tensor* x : {&w, &m, &v, &grad})
    check(x->numel() == n && x->dtype == DType::kF32 && x->is_dense(),
          "[adamw] {} where {} dense float32 elements are wanted", *x, n);
  check(!bf16_copy || (bf16_copy.numel() == n && bf16_copy.is_dense()),
        "[adamw] the bf16 copy is {}, want {} dense elements", bf16_copy, n);
  check(options.step >= 1, "[adamw] step {} is less than 1", options.step);
  const kernels::AdamW constants = constants_of(options);
  BFloat16* copy = bf16_copy ? bf16_copy.as<BFloat16>() : nullptr;
  for_row_blocks(context, n, 16, [&](int64_t begin, int64_t end) {
    kernels::AdamW block = constants;
    block.w = w.as<float>() + begin;
    block.m = m.as<float>() + begin;
    block.v = v.as<float>() + begin;
    block.grad = grad.as<float>() + begin;
    block.bf16_copy = copy ? copy + begin : nullptr;
    block.n = end - begin;
    context.kernels.adamw.step(block);
  });
}

double sum_of_squares(const Context& context, const Tensor& x) {
  check(x.is_dense(), "[sum_of_squares] {} has gaps", x);
  const int64_t n = x.numel(), block = 16384, blocks = (n + block - 1) / block;
  const auto kernel = context.kernels.adamw.sum_of_squares[type_index(x, "sum_of_squares")];
  ArenaScope scope(context.scratch);
  double* sums = context.scratch.allocate<double>(blocks);
  context.threads.parallel_for(blocks, [&](int64_t i, int) {
    const char* data = static_cast<const char*>(x.data) + i * block * size_of(x.dtype);
    sums[i] = kernel(data, std::min(block, n - i * block));
  });
  double total = 0;
  for (int64_t i = 0; i < blocks; ++i) total += sums[i];
  return total;
}

}  // namespace moge
