// Parameters of a model and the bytes they take, by formula. Total and activated counts are those
// of the paper's Table 1: every bias, norm, router and router_scale; embedding and head both count
// as activated.
#pragma once

#include <cstdint>

#include "moge/config/model_config.h"

namespace moge::plan {

/// Matrices are what a weight format applies to; vectors (norms, biases, router_scale) stay fp32.
struct ParameterCount {
  int64_t matrices = 0, vectors = 0;
  int64_t sum() const { return matrices + vectors; }
  bool operator==(const ParameterCount&) const = default;
};

/// One routed expert's gate, up and down; 0 where there are none.
int64_t expert_parameters(const ModelConfig& config);

/// Layer `layer` with `experts` of its routed experts (all, or those that one token uses).
ParameterCount layer_parameters(const ModelConfig& config, int64_t layer, int64_t experts);

ParameterCount total_parameters(const ModelConfig& config);
ParameterCount active_parameters(const ModelConfig& config);  ///< that one token uses

enum class WeightBytes : uint8_t { kFp32, kBf16, kW8A8, kW4A8 };
constexpr bool is_quantized(WeightBytes format) { return format >= WeightBytes::kW8A8; }
/// Of activations, keys and values; and of weights that are floats.
constexpr int64_t element_bytes(WeightBytes format) { return format == WeightBytes::kFp32 ? 4 : 2; }

/// Weights of `count` parameters in memory, all floats.
int64_t weight_bytes(const ParameterCount& count, WeightBytes format);

/// A model's weights without the embedding's rows, `experts` of each layer's routed ones, ready to
/// answer. Quantized formats have one fp32 scale per output channel (8 bits) or one bf16 scale per
/// channel and 128 inputs (4 bits), in panels of 32 channels; routers stay bf16.
int64_t packed_weight_bytes(const ModelConfig& config, WeightBytes format, int64_t experts);

/// Weights, gradients and both moments of AdamW: 16 bytes a parameter in fp32; in bf16 masters,
/// gradients and moments are fp32 and every parameter has a bf16 copy: 18.
int64_t training_state_bytes(const ParameterCount& count, WeightBytes format);

/// Keys and values of one token over all layers: heads padded to 16 elements of 4 (fp32), 2 (bf16)
/// or 1 byte (int8, with an fp32 scale for each key and value). A sliding window bounds the tokens
/// that are kept, not the bytes of one.
int64_t kv_bytes_per_token(const ModelConfig& config, int64_t element_bytes);

}  // namespace moge::plan
