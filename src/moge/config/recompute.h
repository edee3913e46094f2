// What training computes again in the backward pass instead of keeping it.
#pragma once

#include <cstdint>

namespace moge {

enum class Recompute : uint8_t {
  kOff,        ///< everything is kept
  kSelective,  ///< not norm outputs, permuted rows and SwiGLU outputs: cheap to compute again
  kFull,       ///< only each block's input is kept
};

}  // namespace moge
