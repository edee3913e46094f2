#include "moge/plan/parameters.h"

namespace moge::plan {

namespace {

ParameterCount attention_parameters(const ModelConfig& c) {
  ParameterCount count{c.hidden_size * (c.qkv_width() + c.q_width()), 0};
  if (c.qkv_bias) count.vectors += c.qkv_width();
  if (c.output_bias) count.vectors += c.hidden_size;
  if (c.qk_norm == QkNorm::kPerHead) count.vectors += 2 * c.head_dim;
  if (c.qk_norm == QkNorm::kFullWidth) count.vectors += c.q_width() + c.kv_width();
  return count;
}

ParameterCount mlp_parameters(const ModelConfig& c, bool moe, int64_t experts) {
  if (!moe) return {3 * c.hidden_size * c.dense_width, 0};
  const int64_t router = c.hidden_size * c.moe.num_experts;
  const int64_t shared = c.hidden_size * (3 * c.moe.shared_width + (c.moe.shared_gate ? 1 : 0));
  return {router + experts * expert_parameters(c) + shared,
          c.moe.router_scale ? c.moe.num_experts : 0};
}

ParameterCount model_parameters(const ModelConfig& c, int64_t experts) {
  ParameterCount count{c.vocab_size * c.hidden_size * (c.tied_embeddings ? 1 : 2), c.hidden_size};
  for (int64_t layer = 0; layer < c.num_layers(); ++layer) {
    const ParameterCount block = layer_parameters(c, layer, experts);
    count.matrices += block.matrices;
    count.vectors += block.vectors;
  }
  return count;
}

}  // namespace

int64_t expert_parameters(const ModelConfig& config) {
  return 3 * config.hidden_size * config.moe.expert_width;
}

ParameterCount layer_parameters(const ModelConfig& config, int64_t layer, int64_t experts) {
  const ParameterCount attention = attention_parameters(config);
  const ParameterCount mlp =
      mlp_parameters(config, config.layers[static_cast<size_t>(layer)].moe, experts);
  const int64_t norms = 2 * config.hidden_size;
  return {attention.matrices + mlp.matrices, attention.vectors + mlp.vectors + norms};
}

ParameterCount total_parameters(const ModelConfig& config) {
  return model_parameters(config, config.moe.num_experts);
}

ParameterCount active_parameters(const ModelConfig& config) {
  return model_parameters(config, config.moe.top_k);
}

int64_t weight_bytes(const ParameterCount& count, WeightBytes format) {
  return count.matrices * element_bytes(format) + count.vectors * 4;
}

namespace {
/// One quantized matrix of n output channels.
int64_t quantized_bytes(WeightBytes format, int64_t n, int64_t k) {
  constexpr int64_t kChannels = 32, kInputs = 4, kGroup = 128;
  const int64_t panels = k == 0 ? 0 : (n + kChannels - 1) / kChannels;
  const int64_t values = (k + kInputs - 1) / kInputs * kInputs * kChannels;
  if (format == WeightBytes::kW8A8) return panels * (values + kChannels * 4);
  return panels * (values / 2 + (k + kGroup - 1) / kGroup * kChannels * 2);
}
}  // namespace

int64_t packed_weight_bytes(const ModelConfig& c, WeightBytes format, int64_t experts) {
  ParameterCount floats = model_parameters(c, experts);
  floats.matrices -= c.tied_embeddings ? 0 : c.vocab_size * c.hidden_size;
  if (!is_quantized(format)) return weight_bytes(floats, format);
  const int64_t D = c.hidden_size;
  int64_t bytes = 0;
  const auto quantize = [&](int64_t n, int64_t k, int64_t count = 1) {
    bytes += count * quantized_bytes(format, n, k);
    floats.matrices -= count * n * k;
  };
  for (const LayerConfig& layer : c.layers) {
    quantize(c.qkv_width(), D);
    quantize(D, c.q_width());
    const int64_t width = layer.moe ? c.moe.shared_width : c.dense_width;
    quantize(2 * width, D);
    quantize(D, width);
    if (!layer.moe) continue;
    quantize(2 * c.moe.expert_width, D, experts);
    quantize(D, c.moe.expert_width, experts);
  }
  quantize(c.vocab_size, D);
  return bytes + weight_bytes(floats, format);
}

int64_t training_state_bytes(const ParameterCount& count, WeightBytes format) {
  return count.sum() * (format == WeightBytes::kFp32 ? 16 : 18);
}

int64_t kv_bytes_per_token(const ModelConfig& config, int64_t element_bytes) {
  const int64_t padded_dim = (config.head_dim + 15) / 16 * 16;
  const int64_t scale = element_bytes == 1 ? 4 : 0;
  return 2 * config.num_layers() * config.num_kv_heads * (padded_dim * element_bytes + scale);
}

}  // namespace moge::plan
