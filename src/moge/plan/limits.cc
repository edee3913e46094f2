#include "moge/plan/limits.h"

#include <algorithm>

#include "moge/plan/flops.h"

namespace moge::plan {

namespace {

/// Keys and values of a sequence that the next token reads.
int64_t kv_bytes_read(const ModelConfig& c, int64_t element_bytes, int64_t context) {
  int64_t positions = 0;
  for (const LayerConfig& layer : c.layers)
    positions += layer.window > 0 ? std::min(layer.window, context) : context;
  return kv_bytes_per_token(c, element_bytes) / c.num_layers() * positions;
}

}  // namespace

int64_t inference_weight_bytes(const ModelConfig& config, WeightBytes format) {
  return packed_weight_bytes(config, format, config.moe.num_experts) +
         config.vocab_size * config.hidden_size * element_bytes(format);
}

int64_t decode_bytes(const ModelConfig& config, WeightBytes format, int64_t context) {
  return packed_weight_bytes(config, format, config.moe.top_k) +
         config.hidden_size * element_bytes(format) +
         kv_bytes_read(config, element_bytes(format), context);
}

double prefill_flops_per_token(const ModelConfig& config, int64_t context) {
  const int64_t head = config.vocab_size * config.hidden_size;
  return 2.0 * static_cast<double>(matrix_params_per_token(config) - head) +
         2.0 * static_cast<double>(head) / static_cast<double>(context) +
         attention_flops_per_token(config, context);
}

Fit fit(const ModelConfig& config, WeightBytes format, int64_t context,
        const MachineLimits& machine) {
  Fit result{.weight_bytes = inference_weight_bytes(config, format),
             .kv_bytes_per_token = kv_bytes_per_token(config, element_bytes(format))};
  result.fits = result.weight_bytes + context * result.kv_bytes_per_token <= machine.memory_bytes;
  result.prefill_tok_s = machine.operations_s / prefill_flops_per_token(config, context);
  result.decode_tok_s =
      machine.read_bytes_s / static_cast<double>(decode_bytes(config, format, context));
  return result;
}

}  // namespace moge::plan
