// What a machine can reach with a model at most, by formula: a token must read the weights that it
// uses and be multiplied with them, whatever the kernels are.
#pragma once

#include <cstdint>

#include "moge/config/model_config.h"
#include "moge/plan/parameters.h"

namespace moge::plan {

struct MachineLimits {
  int64_t memory_bytes = 0;  ///< that can be taken
  double read_bytes_s = 0;   ///< from memory, all threads
  double operations_s = 0;   ///< in the type of the weights, all threads
};

/// Weights of a model that is ready to answer: tied embeddings lie there twice, as rows to look up
/// and as the head's matrix.
int64_t inference_weight_bytes(const ModelConfig& config, WeightBytes format);

/// Bytes that one sequence reads for its next token after `context` tokens: weights of a token, and
/// keys and values that its layers' windows still hold.
int64_t decode_bytes(const ModelConfig& config, WeightBytes format, int64_t context);

/// Operations per token of a prompt of `context` tokens; the head sees the last one only.
double prefill_flops_per_token(const ModelConfig& config, int64_t context);

struct Fit {
  int64_t weight_bytes = 0, kv_bytes_per_token = 0;
  bool fits = false;  ///< weights and the cache of `context` tokens
  double prefill_tok_s = 0, decode_tok_s = 0;
};

/// One sequence of `context` tokens; keys and values have the weights' type.
Fit fit(const ModelConfig& config, WeightBytes format, int64_t context,
        const MachineLimits& machine);

}  // namespace moge::plan
