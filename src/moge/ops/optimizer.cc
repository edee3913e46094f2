// AdamW and the gradient norm: shape checks and blocks (kernels/adamw.h).
#include "moge/ops/optimizer.h"

#include <algorithm>
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

namespace {
constexpr int64_t kSquaresBlock = 16384;
int64_t squares_blocks(int64_t n) { return (n + kSquaresBlock - 1) / kSquaresBlock; }
}  // namespace

double sum_of_squares(const Context& context, const Tensor& x) {
  return sum_of_squares(context, {&x, 1});
}

double sum_of_squares(const Context& context, std::span<const Tensor> tensors) {
  constexpr const char* kOp = "sum_of_squares";
  if (tensors.empty()) return 0;
  const ArenaScope scope(context.scratch);
  const int type = type_index(tensors[0], kOp);
  const auto kernel = context.kernels.adamw.sum_of_squares[type];
  auto* first = context.scratch.allocate<int64_t>(static_cast<int64_t>(tensors.size()) + 1);
  first[0] = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    check(tensors[i].is_dense(), "[{}] {} has gaps", kOp, tensors[i]);
    check(type_index(tensors[i], kOp) == type, "[{}] {} after tensors of another type", kOp,
          tensors[i]);
    first[i + 1] = first[i] + squares_blocks(tensors[i].numel());
  }
  int64_t* const end = first + tensors.size() + 1;
  double* sums = context.scratch.allocate<double>(*(end - 1));
  context.threads.parallel_for(*(end - 1), [&](int64_t block, int) {
    const int64_t* owner = std::upper_bound(first, end, block) - 1;
    const Tensor& x = tensors[static_cast<size_t>(owner - first)];
    const int64_t begin = (block - *owner) * kSquaresBlock;
    sums[block] = kernel(static_cast<const char*>(x.data) + begin * size_of(x.dtype),
                         std::min(kSquaresBlock, x.numel() - begin));
  });
  double total = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    double sum = 0;
    for (int64_t block = first[i]; block < first[i + 1]; ++block) sum += sums[block];
    total += sum;
  }
  return total;
}

size_t sum_of_squares_scratch(int64_t num_tensors, int64_t num_elements) {
  const int64_t blocks = num_elements / kSquaresBlock + num_tensors;
  return Arena::padded(static_cast<size_t>(num_tensors + 1) * sizeof(int64_t)) +
         Arena::padded(static_cast<size_t>(blocks) * sizeof(double));
}

}  // namespace moge
