// RMSNorm (kernels/rmsnorm.h). C row width.
#include "moge/kernels/rmsnorm.h"

#include "moge/kernels/cpu/simd.inl"

namespace {

using moge::kernels::RmsNormBackwardInput;
using moge::kernels::RmsNormBackwardWeight;
using moge::kernels::RmsNormForward;

template <class T, class View>
auto row(const View& view, int64_t t, int64_t h) {
  return static_cast<T*>(view.data) + t * view.stride_T + h * view.stride_H;
}

template <class X>
float reciprocal_rms(const X* x_C, float eps, int64_t C) {
  Vec sum{};
  for_vectors(C, [&](int64_t i, auto lanes) {
    const Vec x = load(x_C + i, lanes);
    sum = fma(x, x, sum);
  });
  return 1.0f / __builtin_sqrtf(sum_lanes(sum) / static_cast<float>(C) + eps);
}

template <class X, class Y>
void forward(const RmsNormForward& a) noexcept {
  for (int64_t t = 0; t < a.T; ++t)
    for (int64_t h = 0; h < a.H; ++h) {
      const X* x_C = row<const X>(a.x, t, h);
      Y* y_C = row<Y>(a.y, t, h);
      const float rstd = reciprocal_rms(x_C, a.eps, a.C);
      for_vectors(a.C, [&](int64_t i, auto lanes) {
        store(y_C + i, load(x_C + i, lanes) * rstd * load(a.w_C + i, lanes), lanes);
      });
      if (a.rstd_TH) a.rstd_TH[t * a.H + h] = rstd;
    }
}

/// With g = dy * w: dx = rstd * (g - x * rstd^2 * mean(g * x)).
template <class Dy, class X, class Dx>
void backward_input(const RmsNormBackwardInput& a) noexcept {
  for (int64_t t = 0; t < a.T; ++t)
    for (int64_t h = 0; h < a.H; ++h) {
      const Dy* dy_C = row<const Dy>(a.dy, t, h);
      const X* x_C = row<const X>(a.x, t, h);
      Dx* dx_C = row<Dx>(a.dx, t, h);
      Vec sum{};
      for_vectors(a.C, [&](int64_t i, auto lanes) {
        const Vec g = load(dy_C + i, lanes) * load(a.w_C + i, lanes);
        sum = fma(g, load(x_C + i, lanes), sum);
      });
      const float rstd = a.rstd_TH[t * a.H + h];
      const float slope = -rstd * rstd * (sum_lanes(sum) / static_cast<float>(a.C));
      for_vectors(a.C, [&](int64_t i, auto lanes) {
        const Vec g = load(dy_C + i, lanes) * load(a.w_C + i, lanes);
        Vec dx = rstd * fma(load(x_C + i, lanes), splat(slope), g);
        if (a.accumulate) dx += load(dx_C + i, lanes);
        store(dx_C + i, dx, lanes);
      });
    }
}

template <class Dy, class X>
void backward_weight(const RmsNormBackwardWeight& a) noexcept {
  for (int64_t i = 0; i < a.C; ++i) a.dw_C[i] = 0;
  for (int64_t t = 0; t < a.T; ++t)
    for (int64_t h = 0; h < a.H; ++h) {
      const Dy* dy_C = row<const Dy>(a.dy, t, h);
      const X* x_C = row<const X>(a.x, t, h);
      const Vec rstd = splat(a.rstd_TH[t * a.H + h]);
      for_vectors(a.C, [&](int64_t i, auto lanes) {
        const Vec xhat = load(x_C + i, lanes) * rstd;
        store(a.dw_C + i, fma(load(dy_C + i, lanes), xhat, load(a.dw_C + i, lanes)), lanes);
      });
    }
}

using F = float;
using B = BFloat16;

}  // namespace

namespace moge::kernels::MOGE_ISA {
extern const RmsNormKernels kRmsNorm = {
    .forward = {{forward<F, F>, forward<F, B>}, {forward<B, F>, forward<B, B>}},
    .backward_input = {{{backward_input<F, F, F>, backward_input<F, F, B>},
                        {backward_input<F, B, F>, backward_input<F, B, B>}},
                       {{backward_input<B, F, F>, backward_input<B, F, B>},
                        {backward_input<B, B, F>, backward_input<B, B, B>}}},
    .backward_weight = {{backward_weight<F, F>, backward_weight<F, B>},
                        {backward_weight<B, F>, backward_weight<B, B>}}};
}
