// RMSNorm over rows: y = x / sqrt(mean(x^2) + eps) * w. Sums in fp32.
#pragma once

#include <cstdint>

#include "moge/core/scalar.h"

namespace moge::kernels {

// D width of a row. Strides in elements. *_f32 / *_bf16: the type of y and dy; x, w, dx are fp32.
struct RmsNormKernels {
  /// One row; returns 1 / sqrt(mean(x^2) + eps), which backward needs.
  float (*forward_f32)(const float* x_D, const float* w_D, float eps, int D, float* y_D) noexcept;
  float (*forward_bf16)(const float* x_D, const float* w_D, float eps, int D,
                        BFloat16* y_D) noexcept;
};

}  // namespace moge::kernels
