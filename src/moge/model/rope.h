// RoPE frequencies of a model: default, linear and llama3 scaling.
#pragma once

#include <vector>

#include "moge/config/model_config.h"
#include "moge/ops/elementwise.h"
#include "moge/runtime/arena.h"

namespace moge {

/// Radians per position of each of the C/2 pairs.
std::vector<double> rope_frequencies(const RopeConfig& rope, int64_t head_dim);

/// The table of positions [0, positions), in `storage`.
RopeTable make_rope_table(const ModelConfig& config, int64_t positions, Buffer& storage);

}  // namespace moge
