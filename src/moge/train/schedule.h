// The learning rate as a pure function of the step.
#pragma once

#include <cstdint>

#include "moge/config/train_config.h"

namespace moge::train {

/// Learning rate of optimizer step `step` (1, 2, ...): linear warm-up to lr, then the decay style
/// down to min_lr at lr_decay_iters (default train_iters), min_lr after it. WSD holds lr until the
/// last lr_wsd_decay_iters steps, which fall linearly. With --train-samples the same by the samples
/// consumed at the step's end.
double learning_rate(const OptimizerConfig& config, int64_t step);

}  // namespace moge::train
