// --format: how a model's weights lie in memory.
#pragma once

#include <string>

#include "moge/config/quantization.h"

namespace moge {

/// Of "w8a8" and "w4a8"; kNone for floats.
inline QuantScheme scheme_of(const std::string& format) {
  return format == "w8a8"   ? QuantScheme::kW8A8
         : format == "w4a8" ? QuantScheme::kW4A8
                            : QuantScheme::kNone;
}

}  // namespace moge
