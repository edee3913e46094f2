// What a model is, read from its config.json: one description for every family, so that MoGE,
// ungrouped top-K MoE and dense models are the same code with other numbers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "moge/config/quantization.h"

namespace moge {

/// Rotary position embedding, rotate-half over the whole head.
struct RopeConfig {
  enum class Type { kDefault, kLinear, kLlama3 };
  Type type = Type::kDefault;
  double theta = 10000.0;
  double factor = 1.0;                   ///< linear and llama3
  double low_freq_factor = 1.0;          ///< llama3
  double high_freq_factor = 4.0;         ///< llama3
  int64_t original_max_position = 8192;  ///< llama3
  bool operator==(const RopeConfig&) const = default;
};

/// RMSNorm of queries and keys before RoPE.
enum class QkNorm { kNone, kPerHead, kFullWidth };

/// Routed experts of one model; num_experts == 0 means a dense model.
struct MoeConfig {
  int64_t num_experts = 0;      ///< E
  int64_t num_groups = 1;       ///< G; 1 = plain top-K over all experts
  int64_t top_k = 0;            ///< K over all groups; K / G in each
  int64_t expert_width = 0;     ///< F
  int64_t shared_width = 0;     ///< width of the shared expert; 0 = none
  bool shared_gate = false;     ///< qwen2_moe: sigmoid(x . w) on the shared expert's output
  bool renormalize = false;     ///< divide the chosen weights by their sum
  bool router_scale = false;    ///< PanguProMoE: learned factor after selection
  double aux_loss_coeff = 0.0;  ///< router_aux_loss_coef
  bool operator==(const MoeConfig&) const = default;
};

/// One decoder layer.
struct LayerConfig {
  bool moe = false;
  int64_t window = 0;  ///< sliding window in tokens (itself included); 0 = full causal
  bool operator==(const LayerConfig&) const = default;
};

struct ModelConfig {
  std::string model_type;    ///< "PanguProMoE", "olmoe", "mixtral", "qwen2_moe", ...
  int64_t vocab_size = 0;    ///< V
  int64_t hidden_size = 0;   ///< D
  int64_t num_heads = 0;     ///< H
  int64_t num_kv_heads = 0;  ///< N
  int64_t head_dim = 0;      ///< C
  int64_t dense_width = 0;   ///< width of the MLP of dense layers
  int64_t max_position = 0;  ///< max_position_embeddings
  double rms_norm_eps = 1e-5;
  double initializer_range = 0.02;
  RopeConfig rope;
  bool qkv_bias = false, output_bias = false;
  QkNorm qk_norm = QkNorm::kNone;
  bool tied_embeddings = false;
  MoeConfig moe;
  std::vector<LayerConfig> layers;
  std::vector<int32_t> eos_ids;      ///< from config.json and generation_config.json
  int32_t bos_id = -1, pad_id = -1;  ///< -1 = none

  int64_t num_layers() const { return static_cast<int64_t>(layers.size()); }
  int64_t q_width() const { return num_heads * head_dim; }
  int64_t kv_width() const { return num_kv_heads * head_dim; }
  int64_t qkv_width() const { return q_width() + 2 * kv_width(); }
  bool operator==(const ModelConfig&) const = default;
};

/// Reads a config.json. Accepts both spellings of the RoPE keys (rope_theta + rope_scaling and
/// rope_parameters) and of dtype; refuses by name an unknown model_type, a rope_type other than
/// default, linear and llama3, numbers that do not divide, and any key that would change the
/// numbers and is not implemented. `where` names the source in messages.
ModelConfig parse_model_config(const nlohmann::json& config, const std::string& where);

/// Reads FOLDER/config.json and, where present, generation_config.json.
ModelConfig load_model_config(const std::filesystem::path& folder);

/// FOLDER/config.json's quantization_config.
QuantizationConfig load_quantization(const std::filesystem::path& folder);

/// The config.json that describes the model (transformers' keys of its family).
nlohmann::json to_json(const ModelConfig& config);

/// A named architecture embedded from presets/*.json; throws with the known names.
ModelConfig preset_config(const std::string& name);
std::vector<std::string> preset_names();

}  // namespace moge
