#include "moge/plan/flops.h"

#include <algorithm>

namespace moge::plan {

namespace {

int64_t matrix_params(const ModelConfig& c, const LayerConfig& layer) {
  const int64_t attention = c.hidden_size * (c.qkv_width() + c.q_width());
  if (!layer.moe) return attention + 3 * c.hidden_size * c.dense_width;
  const int64_t experts = 3 * c.moe.top_k * c.moe.expert_width;
  const int64_t shared = 3 * c.moe.shared_width + (c.moe.shared_gate ? 1 : 0);
  return attention + c.hidden_size * (c.moe.num_experts + experts + shared);
}

/// Mean number of positions a token of a sequence sees, itself included.
double mean_context(int64_t seq_length, int64_t window) {
  const auto T = static_cast<double>(seq_length);
  if (window == 0 || window >= seq_length) return (T + 1) / 2;
  const auto W = static_cast<double>(window);
  return (W * (W + 1) / 2 + (T - W) * W) / T;
}

}  // namespace

int64_t matrix_params_per_token(const ModelConfig& config) {
  int64_t sum = config.vocab_size * config.hidden_size;
  for (const LayerConfig& layer : config.layers) sum += matrix_params(config, layer);
  return sum;
}

double attention_flops_per_token(const ModelConfig& config, int64_t seq_length) {
  double context = 0;
  for (const LayerConfig& layer : config.layers) context += mean_context(seq_length, layer.window);
  return 4.0 * static_cast<double>(config.q_width()) * context;
}

double train_flops_per_token(const ModelConfig& config, int64_t seq_length) {
  return 6.0 * static_cast<double>(matrix_params_per_token(config)) +
         3.0 * attention_flops_per_token(config, seq_length);
}

}  // namespace moge::plan
