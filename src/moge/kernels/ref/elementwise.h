// The specification of embedding and of the sigmoid gate, template on the scalar.
#pragma once

#include <cstdint>

#include "moge/kernels/ref/swiglu.h"

namespace moge::ref {

template <class T>
void embedding_forward(const int32_t* ids_T, const T* table_VD, int64_t num_tokens, int64_t D,
                       T* x_TD) {
  for (int64_t t = 0; t < num_tokens; ++t)
    for (int64_t d = 0; d < D; ++d) x_TD[t * D + d] = table_VD[ids_T[t] * D + d];
}

template <class T>
void embedding_backward(const int32_t* ids_T, const T* dx_TD, int64_t num_tokens, int64_t D,
                        T* dtable_VD) {
  for (int64_t t = 0; t < num_tokens; ++t)
    for (int64_t d = 0; d < D; ++d) dtable_VD[ids_T[t] * D + d] += dx_TD[t * D + d];
}

/// y += sigmoid(gate) * x
template <class T>
void sigmoid_gate_forward(const T* gate_T, const T* x_TD, int64_t num_tokens, int64_t D, T* y_TD) {
  for (int64_t t = 0; t < num_tokens; ++t)
    for (int64_t d = 0; d < D; ++d) y_TD[t * D + d] += sigmoid(gate_T[t]) * x_TD[t * D + d];
}

/// dx = sigmoid(gate) * dy; dgate = dot(dy, x) * s * (1 - s)
template <class T>
void sigmoid_gate_backward(const T* gate_T, const T* x_TD, const T* dy_TD, int64_t num_tokens,
                           int64_t D, T* dx_TD, T* dgate_T) {
  for (int64_t t = 0; t < num_tokens; ++t) {
    const T s = sigmoid(gate_T[t]);
    T dot = 0;
    for (int64_t d = 0; d < D; ++d) {
      dx_TD[t * D + d] = s * dy_TD[t * D + d];
      dot += dy_TD[t * D + d] * x_TD[t * D + d];
    }
    dgate_T[t] = dot * s * (T(1) - s);
  }
}

}  // namespace moge::ref
