// SwiGLU over rows [gate | up] of width 2F: act = gate * sigmoid(gate) * up.
#pragma once

#include "moge/kernels/rows.h"

namespace moge::kernels {

struct SwigluForward {
  Rows gate_up;  ///< [R, 2F]
  MutableRows act;
  int64_t R, F;
};
struct SwigluBackward {
  Rows gate_up, dact;
  MutableRows dgate_up;
  int64_t R, F;
};

/// Backward of weight * act, one weight a row: dact comes without the weight. Operands of one type.
struct SwigluWeightedBackward {
  Rows gate_up, act, dact;
  const float* weights_R;
  MutableRows dgate_up;
  MutableRows weighted_act;  ///< weight * act; may be act's own memory
  float* dweights_R;         ///< act . dact
  int64_t R, F;
};

struct SwigluKernels {
  void (*forward[2][2])(const SwigluForward&) noexcept;       ///< [gate_up][act]
  void (*backward[2][2][2])(const SwigluBackward&) noexcept;  ///< [gate_up][dact][dgate_up]
  void (*weighted_backward[2])(const SwigluWeightedBackward&) noexcept;
};

}  // namespace moge::kernels
