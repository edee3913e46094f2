// Floating-point operations of a model, by formula.
#pragma once

#include <cstdint>

#include "moge/config/model_config.h"

namespace moge::plan {

/// Matrix parameters that one token is multiplied with: projections, router, its K experts, the
/// shared expert or the dense MLP, the head. The input embedding is a lookup and not counted.
int64_t matrix_params_per_token(const ModelConfig& config);

/// Attention scores and values of one token on average in a sequence of `seq_length`, forward:
/// causal, each layer's window respected.
double attention_flops_per_token(const ModelConfig& config, int64_t seq_length);

/// Forward and backward: 6 * matrix_params_per_token + 3 * attention_flops_per_token; what is
/// computed again in the backward pass is not counted. MFU = this * tokens/s / peak.
double train_flops_per_token(const ModelConfig& config, int64_t seq_length);

}  // namespace moge::plan
