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

struct SwigluKernels {
  void (*forward[2][2])(const SwigluForward&) noexcept;       ///< [gate_up][act]
  void (*backward[2][2][2])(const SwigluBackward&) noexcept;  ///< [gate_up][dact][dgate_up]
};

}  // namespace moge::kernels
