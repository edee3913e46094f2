// Sums, conversions and the sigmoid gate.
#pragma once

#include "moge/core/scalar.h"
#include "moge/kernels/rows.h"

namespace moge::kernels {

struct SigmoidGateForward {
  const float* gate_T;
  Rows x;
  MutableRows y;  ///< fp32; y += sigmoid(gate) * x
  int64_t T, D;
};
struct SigmoidGateBackward {
  const float* gate_T;
  Rows x, dy;  ///< dy is fp32
  MutableRows dx;
  float* dgate_T;
  int64_t T, D;
};

struct ElementwiseKernels {
  void (*add[2])(const void* x, float* y, int64_t n) noexcept;               ///< y += x; [x]
  void (*cast[2][2])(const void* from, void* to, int64_t n) noexcept;        ///< [from][to]
  void (*sigmoid_gate_forward[2])(const SigmoidGateForward&) noexcept;       ///< [x]
  void (*sigmoid_gate_backward[2][2])(const SigmoidGateBackward&) noexcept;  ///< [x][dx]
};

}  // namespace moge::kernels
