// Cross-entropy over one row of V logits.
#pragma once

#include <cstdint>

#include "moge/core/scalar.h"

namespace moge::kernels {

struct LossKernels {
  /// log sum_v exp(logits[v]).
  float (*log_sum_exp)(const float* logits_V, int64_t V) noexcept;
  /// The same, and exp_V[v] = exp(logits[v] - *max), *sum their sum; exp_V may be logits_V.
  float (*softmax_parts)(const float* logits_V, int64_t V, float* exp_V, float* sum) noexcept;
  /// y[v] = factor * x[v]; y_f32 may be x.
  void (*scale_f32)(const float* x_V, int64_t V, float factor, float* y_V) noexcept;
  void (*scale_bf16)(const float* x_V, int64_t V, float factor, BFloat16* y_V) noexcept;
};

}  // namespace moge::kernels
