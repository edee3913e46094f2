// Rotary position embedding, rotate-half over the whole head: (x1, x2) -> (x1 c - x2 s, x2 c + x1
// s).
#pragma once

#include "moge/kernels/rows.h"

namespace moge::kernels {

struct Rope {
  MutableRows x;  ///< [T, H, 2 * C2], rotated in place
  const int32_t* positions_T;
  const float* cos_PC2;
  const float* sin_PC2;
  float direction;  ///< +1 forward, -1 backward (the inverse rotation)
  int64_t T, H, C2;
};

struct RopeKernels {
  void (*rotate[2])(const Rope&) noexcept;  ///< [x]
};

}  // namespace moge::kernels
