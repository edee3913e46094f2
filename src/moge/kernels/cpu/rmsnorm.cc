// RMSNorm, one row a call (kernels/rmsnorm.h).
#include "moge/kernels/rmsnorm.h"

#include "moge/kernels/cpu/simd.inl"

namespace {

float reciprocal_rms(const float* x_D, float eps, int D) {
  Vec sum{};
  int d = 0;
  for (; d + kLanes <= D; d += kLanes) sum += load(x_D + d) * load(x_D + d);
  float total = sum_lanes(sum);
  for (; d < D; ++d) total += x_D[d] * x_D[d];
  return 1.0f / __builtin_sqrtf(total / static_cast<float>(D) + eps);
}

template <class Out>
float forward(const float* x_D, const float* w_D, float eps, int D, Out* y_D) noexcept {
  const float rstd = reciprocal_rms(x_D, eps, D);
  for (int d = 0; d < D; ++d) y_D[d] = Out(x_D[d] * rstd * w_D[d]);
  return rstd;
}

}  // namespace

namespace moge::kernels::MOGE_ISA {
extern const RmsNormKernels kRmsNorm = {.forward_f32 = forward<float>,
                                        .forward_bf16 = forward<BFloat16>};
}
