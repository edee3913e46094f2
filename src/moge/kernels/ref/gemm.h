// The specification of grouped matrix products, template on the scalar (float, double,
// std::complex<double>). Everything dense and row-major.
#pragma once

#include <cstdint>

namespace moge::ref {

// R routed rows, K input width, N output width, E experts; rows [offsets[e], offsets[e+1]) of e.

/// y_RN = x_RK w_e^T (+ bias_N, may be null)
template <class T>
void linear_forward(const T* x_RK, const T* w_ENK, const T* bias_N, const int32_t* offsets,
                    int64_t E, int64_t N, int64_t K, T* y_RN) {
  for (int64_t e = 0; e < E; ++e)
    for (int64_t r = offsets[e]; r < offsets[e + 1]; ++r)
      for (int64_t n = 0; n < N; ++n) {
        T sum = 0;
        for (int64_t k = 0; k < K; ++k) sum += x_RK[r * K + k] * w_ENK[(e * N + n) * K + k];
        y_RN[r * N + n] = bias_N ? sum + bias_N[n] : sum;
      }
}

/// dx_RK = dy_RN w_e
template <class T>
void linear_backward_input(const T* dy_RN, const T* w_ENK, const int32_t* offsets, int64_t E,
                           int64_t N, int64_t K, T* dx_RK) {
  for (int64_t e = 0; e < E; ++e)
    for (int64_t r = offsets[e]; r < offsets[e + 1]; ++r)
      for (int64_t k = 0; k < K; ++k) {
        T sum = 0;
        for (int64_t n = 0; n < N; ++n) sum += dy_RN[r * N + n] * w_ENK[(e * N + n) * K + k];
        dx_RK[r * K + k] = sum;
      }
}

/// dw_e += dy_e^T x_e; dbias_N += column sums of dy (may be null)
template <class T>
void linear_backward_weight(const T* dy_RN, const T* x_RK, const int32_t* offsets, int64_t E,
                            int64_t N, int64_t K, T* dw_ENK, T* dbias_N) {
  for (int64_t e = 0; e < E; ++e)
    for (int64_t r = offsets[e]; r < offsets[e + 1]; ++r)
      for (int64_t n = 0; n < N; ++n) {
        for (int64_t k = 0; k < K; ++k)
          dw_ENK[(e * N + n) * K + k] += dy_RN[r * N + n] * x_RK[r * K + k];
        if (dbias_N) dbias_N[n] += dy_RN[r * N + n];
      }
}

}  // namespace moge::ref
