// The specification of RMSNorm, template on the scalar (float, double, std::complex<double>).
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

}  // namespace moge::ref
