// AdamW with decoupled decay, and sums of squares in fp64.
#pragma once

#include "moge/core/scalar.h"
#include "moge/kernels/rows.h"

namespace moge::kernels {

/// g = grad_scale * grad; w *= keep; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
/// w -= step_size * m / (sqrt(v) * v_scale + eps).
struct AdamW {
  float* w;
  float* m;
  float* v;
  const float* grad;
  BFloat16* bf16_copy;  ///< may be null
  int64_t n;
  float grad_scale;
  float keep;  ///< 1 - lr * weight_decay
  float beta1, one_minus_beta1, beta2, one_minus_beta2;
  float step_size;  ///< lr / (1 - beta1^step)
  float v_scale;    ///< 1 / sqrt(1 - beta2^step)
  float eps;
};

struct AdamWKernels {
  void (*step)(const AdamW&) noexcept;
  double (*sum_of_squares[2])(const void* x, int64_t n) noexcept;  ///< [x]
};

}  // namespace moge::kernels
