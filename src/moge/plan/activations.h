// Bytes that activations take, by formula. Everything lies in arenas whose blocks begin at
// multiples of kArenaAlignment, so each tensor's bytes are rounded up to it; the tests of model and
// train hold what is taken against these numbers.
// T tokens of a micro-batch; `element_bytes` of a stored activation: 4 in fp32, 2 in bf16.
#pragma once

#include <algorithm>
#include <cstdint>

#include "moge/config/model_config.h"
#include "moge/config/recompute.h"

namespace moge::plan {

inline constexpr int64_t kArenaAlignment = 64;
constexpr int64_t arena_bytes(int64_t bytes) {
  return (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
}

struct ActivationBytes {
  int64_t kept = 0;       ///< from forward to backward, of this layer alone
  int64_t workspace = 0;  ///< needed while the layer is computed; layers share it
};

/// A layer of a training step.
ActivationBytes layer_activation_bytes(const ModelConfig& config, int64_t layer, int64_t num_tokens,
                                       int64_t element_bytes, Recompute recompute);
/// What the layer's backward pass takes besides.
int64_t layer_gradient_bytes(const ModelConfig& config, int64_t layer, int64_t num_tokens,
                             int64_t element_bytes);
/// A layer without a backward pass: all of it is workspace. `fused_experts`: one op makes the sum
/// over a token's experts, whose rows are its scratch.
int64_t layer_inference_bytes(const ModelConfig& config, int64_t layer, int64_t num_tokens,
                              int64_t element_bytes, bool fused_experts);

/// Rows of logits that exist at a time.
int64_t head_chunk_rows(const ModelConfig& config, int64_t num_tokens);

/// A training step by purpose.
struct StepBytes {
  int64_t kept = 0;       ///< of all layers; the residual stream, its gradient, the head's input
  int64_t workspace = 0;  ///< of the largest layer
  int64_t gradients = 0;  ///< of the largest layer
  int64_t head = 0;       ///< logits and what belongs to them; lies over workspace and gradients
  int64_t shared() const { return std::max(workspace + gradients, head); }
  int64_t total() const { return kept + arena_bytes(shared()); }
};
StepBytes step_activation_bytes(const ModelConfig& config, int64_t num_tokens,
                                int64_t element_bytes, Recompute recompute);

}  // namespace moge::plan
