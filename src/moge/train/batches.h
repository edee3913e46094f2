// Which samples an optimizer step takes: a pure function of the step, also while the batch grows,
// so that a run continues where it stopped whatever its batches were.
#pragma once

#include <cstdint>

#include "moge/config/train_config.h"

namespace moge::train {

/// Samples [first, end()) of the run.
struct StepSamples {
  int64_t first = 0, count = 0;
  int64_t end() const { return first + count; }
};

/// Of step 1, 2, ...: --global-batch-size samples, or fewer during --rampup-batch-size. The ramp's
/// samples are cut into equal stages, one for each batch size; a step belongs to the stage in which
/// it begins.
StepSamples samples_of_step(const OptimizerConfig& config, int64_t step);

/// Steps of the run: --train-iters, or as many as --train-samples fill.
int64_t total_steps(const OptimizerConfig& config);

/// Throws Error naming the option whose numbers do not go together.
void check_batches(const OptimizerConfig& config);

}  // namespace moge::train
