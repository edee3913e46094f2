// The specification of RMSNorm, template on the scalar (double, std::complex<double>).
#pragma once

#include <cmath>
#include <complex>
#include <cstdint>

namespace moge::ref {

/// y[t][d] = x[t][d] * rstd[t] * w[d], rstd = 1 / sqrt(mean_d x^2 + eps)
template <class T>
void rmsnorm_forward(const T* x_TD, const T* w_D, double eps, int64_t num_tokens, int64_t D,
                     T* y_TD, T* rstd_T) {
  for (int64_t t = 0; t < num_tokens; ++t) {
    T sum = 0;
    for (int64_t d = 0; d < D; ++d) sum += x_TD[t * D + d] * x_TD[t * D + d];
    rstd_T[t] = T(1) / std::sqrt(sum / T(D) + T(eps));
    for (int64_t d = 0; d < D; ++d) y_TD[t * D + d] = x_TD[t * D + d] * rstd_T[t] * w_D[d];
  }
}

/// dx += rstd * (g - x * rstd^2 * mean_d(g * x)) with g = dy * w
template <class T>
void rmsnorm_backward_input(const T* dy_TD, const T* x_TD, const T* w_D, const T* rstd_T,
                            int64_t num_tokens, int64_t D, T* dx_TD) {
  for (int64_t t = 0; t < num_tokens; ++t) {
    const T *dy_D = dy_TD + t * D, *x_D = x_TD + t * D;
    T dot = 0;
    for (int64_t d = 0; d < D; ++d) dot += dy_D[d] * w_D[d] * x_D[d];
    const T slope = rstd_T[t] * rstd_T[t] * dot / T(D);
    for (int64_t d = 0; d < D; ++d)
      dx_TD[t * D + d] += rstd_T[t] * (dy_D[d] * w_D[d] - x_D[d] * slope);
  }
}

/// dw[d] += sum_t dy * x * rstd
template <class T>
void rmsnorm_backward_weight(const T* dy_TD, const T* x_TD, const T* rstd_T, int64_t num_tokens,
                             int64_t D, T* dw_D) {
  for (int64_t t = 0; t < num_tokens; ++t)
    for (int64_t d = 0; d < D; ++d) dw_D[d] += dy_TD[t * D + d] * x_TD[t * D + d] * rstd_T[t];
}

}  // namespace moge::ref
