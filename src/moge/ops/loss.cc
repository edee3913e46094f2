// Cross-entropy: shape checks and one task per block of rows.
#include "moge/ops/loss.h"

#include <algorithm>

namespace moge {

namespace {

constexpr int64_t kRows = 4;  // rows of a task

void check_vector(const Tensor& x, const char* name, DType dtype, int64_t num_rows) {
  check(x.rank == 1 && x.dim(0) == num_rows && x.dtype == dtype && x.is_dense(),
        "[loss] {} is {}, want {} [{}]", name, x, name_of(dtype), num_rows);
}

void check_inputs(const Tensor& logits, const Tensor& targets, const Tensor& mask,
                  const Tensor& loss, const Tensor& lse) {
  check(logits.rank == 2 && logits.dtype == DType::kF32 && logits.dim(1) > 0,
        "[loss] logits are {}, want float32 [T, V]", logits);
  check_vector(targets, "targets", DType::kI32, logits.dim(0));
  check_vector(mask, "mask", DType::kF32, logits.dim(0));
  check_vector(loss, "loss", DType::kF32, logits.dim(0));
  check_vector(lse, "lse", DType::kF32, logits.dim(0));
  for (int64_t t = 0; t < logits.dim(0); ++t)
    check(targets.as<int32_t>()[t] < logits.dim(1),
          "[loss] target {} of row {} is outside a vocabulary of {}", targets.as<int32_t>()[t], t,
          logits.dim(1));
}

/// row(t) for every row, in parallel.
template <class Row>
void for_rows(const Context& context, int64_t num_rows, Row row) {
  context.threads.parallel_for((num_rows + kRows - 1) / kRows, [&](int64_t task, int) {
    const int64_t end = std::min(num_rows, (task + 1) * kRows);
    for (int64_t t = task * kRows; t < end; ++t) row(t);
  });
}

}  // namespace

void cross_entropy_forward_backward(const Context& context, const Tensor& logits_TV,
                                    const Tensor& targets_T, const Tensor& mask_T, float scale,
                                    float z_coeff, const Tensor& loss_T, const Tensor& lse_T,
                                    const Tensor& dlogits_TV) {
  check_inputs(logits_TV, targets_T, mask_T, loss_T, lse_T);
  const int64_t V = logits_TV.dim(1);
  if (dlogits_TV)
    check(dlogits_TV.rank == 2 && dlogits_TV.dim(0) == logits_TV.dim(0) && dlogits_TV.dim(1) == V &&
              dlogits_TV.dtype == DType::kBF16,
          "[loss] dlogits are {}, want bfloat16 [{}, {}]", dlogits_TV, logits_TV.dim(0), V);
  const kernels::LossKernels& kernels = context.kernels.loss;
  for_rows(context, logits_TV.dim(0), [&](int64_t t) {
    float* row = logits_TV.as<float>() + t * logits_TV.row_stride();
    const int32_t target = targets_T.as<int32_t>()[t];
    const float mask = target < 0 ? 0.0f : mask_T.as<float>()[t];
    const float target_logit = target < 0 ? 0.0f : row[target];
    float sum;
    const float lse = lse_T.as<float>()[t] = kernels.softmax_parts(row, V, row, &sum);
    loss_T.as<float>()[t] = mask == 0 ? 0.0f : mask * (lse - target_logit + z_coeff * lse * lse);
    const float weight = scale * mask;
    const float factor = mask == 0 ? 0.0f : weight * (1 + 2 * z_coeff * lse) / sum;
    const float at_target = target < 0 ? 0.0f : row[target] * factor - weight;
    if (dlogits_TV) {
      BFloat16* out = dlogits_TV.as<BFloat16>() + t * dlogits_TV.row_stride();
      kernels.scale_bf16(row, V, factor, out);
      if (target >= 0) out[target] = BFloat16(at_target);
    } else {
      kernels.scale_f32(row, V, factor, row);
      if (target >= 0) row[target] = at_target;
    }
  });
}

void cross_entropy_forward(const Context& context, const Tensor& logits_TV, const Tensor& targets_T,
                           const Tensor& mask_T, const Tensor& loss_T, const Tensor& lse_T) {
  check_inputs(logits_TV, targets_T, mask_T, loss_T, lse_T);
  for_rows(context, logits_TV.dim(0), [&](int64_t t) {
    const float* row = logits_TV.as<float>() + t * logits_TV.row_stride();
    const int32_t target = targets_T.as<int32_t>()[t];
    const float mask = target < 0 ? 0.0f : mask_T.as<float>()[t];
    const float lse = lse_T.as<float>()[t] =
        context.kernels.loss.log_sum_exp(row, logits_TV.dim(1));
    loss_T.as<float>()[t] = mask == 0 ? 0.0f : mask * (lse - row[target]);
  });
}

}  // namespace moge
