// The architecture that the options of a training run describe.
#pragma once

#include "moge/config/model_config.h"
#include "moge/config/train_config.h"

namespace moge {

/// `config` with the numbers that `choice` gives in place of its own, checked as config.json is.
ModelConfig with_overrides(ModelConfig config, const ModelChoice& choice);

}  // namespace moge
