// RMSNorm over the last dimension of [T, H, C]: y = x * rstd * w, rstd = 1 / sqrt(mean(x^2) + eps).
// Sums in fp32; the specification is ref/rmsnorm.h.
#pragma once

#include "moge/kernels/rows.h"

namespace moge::kernels {

struct RmsNormForward {
  Rows x;
  MutableRows y;  ///< may be x
  const float* w_C;
  float* rstd_TH;  ///< may be null
  float eps;
  int64_t T, H, C;
};
struct RmsNormBackwardInput {
  Rows dy, x;
  MutableRows dx;
  const float* w_C;
  const float* rstd_TH;
  bool accumulate;
  int64_t T, H, C;
};
struct RmsNormBackwardWeight {
  Rows dy, x;
  const float* rstd_TH;
  float* dw_C;  ///< written: the sum over these rows in row order
  int64_t T, H, C;
};

struct RmsNormKernels {
  void (*forward[2][2])(const RmsNormForward&) noexcept;                  ///< [x][y]
  void (*backward_input[2][2][2])(const RmsNormBackwardInput&) noexcept;  ///< [dy][x][dx]
  void (*backward_weight[2][2])(const RmsNormBackwardWeight&) noexcept;   ///< [dy][x]
};

}  // namespace moge::kernels
