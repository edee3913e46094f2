// The specification of SwiGLU, template on the scalar.
#pragma once

#include <cmath>
#include <complex>
#include <cstdint>

namespace moge::ref {

template <class T>
T sigmoid(T x) {
  return T(1) / (T(1) + std::exp(-x));
}

/// act = gate * sigmoid(gate) * up; a row of gate_up is [gate | up].
template <class T>
void swiglu_forward(const T* gate_up_R2F, int64_t R, int64_t F, T* act_RF) {
  for (int64_t r = 0; r < R; ++r)
    for (int64_t f = 0; f < F; ++f) {
      const T gate = gate_up_R2F[r * 2 * F + f], up = gate_up_R2F[r * 2 * F + F + f];
      act_RF[r * F + f] = gate * sigmoid(gate) * up;
    }
}

template <class T>
void swiglu_backward(const T* gate_up_R2F, const T* dact_RF, int64_t R, int64_t F,
                     T* dgate_up_R2F) {
  for (int64_t r = 0; r < R; ++r)
    for (int64_t f = 0; f < F; ++f) {
      const T gate = gate_up_R2F[r * 2 * F + f], up = gate_up_R2F[r * 2 * F + F + f];
      const T s = sigmoid(gate), dact = dact_RF[r * F + f];
      dgate_up_R2F[r * 2 * F + f] = dact * up * s * (T(1) + gate * (T(1) - s));
      dgate_up_R2F[r * 2 * F + F + f] = dact * gate * s;
    }
}

/// y = weight * act, act as swiglu_forward gives it.
template <class T>
void weigh_rows(const T* act_RF, const T* weights_R, int64_t R, int64_t F, T* y_RF) {
  for (int64_t r = 0; r < R; ++r)
    for (int64_t f = 0; f < F; ++f) y_RF[r * F + f] = weights_R[r] * act_RF[r * F + f];
}

template <class T>
void swiglu_weighted_backward(const T* gate_up_R2F, const T* act_RF, const T* dy_RF,
                              const T* weights_R, int64_t R, int64_t F, T* dgate_up_R2F, T* y_RF,
                              T* dweights_R) {
  swiglu_backward(gate_up_R2F, dy_RF, R, F, dgate_up_R2F);
  weigh_rows(act_RF, weights_R, R, F, y_RF);
  for (int64_t r = 0; r < R; ++r) {
    for (int64_t i = 0; i < 2 * F; ++i) dgate_up_R2F[r * 2 * F + i] *= weights_R[r];
    dweights_R[r] = 0;
    for (int64_t f = 0; f < F; ++f) dweights_R[r] += act_RF[r * F + f] * dy_RF[r * F + f];
  }
}

}  // namespace moge::ref
