// AdamW and sums of squares (kernels/adamw.h).
#include "moge/kernels/adamw.h"

#include "moge/kernels/cpu/simd.inl"

namespace {

inline Vec sqrt(Vec x) {
  for (int i = 0; i < kLanes; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
}

void step(const moge::kernels::AdamW& a) noexcept {
  for_vectors(a.n, [&](int64_t i, auto lanes) {
    const Vec g = a.grad_scale * load(a.grad + i, lanes);
    const Vec m = fma(splat(a.beta1), load(a.m + i, lanes), a.one_minus_beta1 * g);
    const Vec v = fma(splat(a.beta2), load(a.v + i, lanes), a.one_minus_beta2 * (g * g));
    const Vec update = m / fma(sqrt(v), splat(a.v_scale), splat(a.eps));
    const Vec w = fma(splat(-a.step_size), update, a.keep * load(a.w + i, lanes));
    store(a.m + i, m, lanes);
    store(a.v + i, v, lanes);
    store(a.w + i, w, lanes);
    if (a.bf16_copy) store(a.bf16_copy + i, w, lanes);
  });
}

template <class X>
double sum_of_squares(const void* data, int64_t n) noexcept {
  const X* x = static_cast<const X*>(data);
  double lanes_sum[kLanes] = {};
  for_vectors(n, [&](int64_t i, auto lanes) {
    float values[kLanes];
    store(values, load(x + i, lanes));
    for (int j = 0; j < kLanes; ++j) lanes_sum[j] += double{values[j]} * double{values[j]};
  });
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int j = 0; j < width; ++j) lanes_sum[j] += lanes_sum[j + width];
  return lanes_sum[0];
}

}  // namespace

namespace moge::kernels::MOGE_ISA {
extern const AdamWKernels kAdamW = {
    .step = step, .sum_of_squares = {sum_of_squares<float>, sum_of_squares<BFloat16>}};
}
