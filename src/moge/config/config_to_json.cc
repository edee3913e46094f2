// A ModelConfig in the keys of its family's config.json; reading it back gives the same ModelConfig
// here and the same model in Hugging Face transformers, old or new.
#include <nlohmann/json.hpp>

#include "moge/config/families.h"
#include "moge/config/model_config.h"

namespace moge {

namespace {
using nlohmann::json;

json rope_to_json(const RopeConfig& rope) {
  if (rope.type == RopeConfig::Type::kDefault) return nullptr;
  if (rope.type == RopeConfig::Type::kLinear)
    return {{"rope_type", "linear"}, {"factor", rope.factor}};
  return {{"rope_type", "llama3"},
          {"factor", rope.factor},
          {"low_freq_factor", rope.low_freq_factor},
          {"high_freq_factor", rope.high_freq_factor},
          {"original_max_position_embeddings", rope.original_max_position}};
}

void put_moe(const ModelConfig& c, const Family& family, json& out) {
  if (!family.moe()) return;
  // Mixtral and version 5 of transformers say num_local_experts, which version 4 does not know for
  // the others; both versions read num_experts for those.
  out[family.is("mixtral") ? "num_local_experts" : "num_experts"] = c.moe.num_experts;
  if (c.moe.num_experts > 0) {
    out["num_experts_per_tok"] = c.moe.top_k;
    out[family.expert_width ? "moe_intermediate_size" : "intermediate_size"] = c.moe.expert_width;
    if (family.shared_width) out["shared_expert_intermediate_size"] = c.moe.shared_width;
    if (family.grouped()) out["num_expert_groups"] = c.moe.num_groups;
    if (family.renormalize == Family::Renormalize::kByKey)
      out["norm_topk_prob"] = c.moe.renormalize;
    out["router_aux_loss_coef"] = c.moe.aux_loss_coeff;
  }
  out["output_router_logits"] = false;
}

void put_layers(const ModelConfig& c, const Family& family, json& out) {
  using Window = Family::Window;
  int64_t window = 0;
  for (const LayerConfig& layer : c.layers) window = std::max(window, layer.window);
  if (family.window != Window::kNone) out["sliding_window"] = window ? json(window) : json(nullptr);
  if (family.window != Window::kNone && family.window != Window::kAll)
    out["use_sliding_window"] = window > 0;
  if (family.window == Window::kFromLayer || family.window == Window::kAlternating) {
    json types = json::array();
    for (const LayerConfig& layer : c.layers)
      types.push_back(layer.window ? "sliding_attention" : "full_attention");
    out["layer_types"] = types;
  }
  if (!family.some_layers_dense()) return;
  json dense = json::array();
  for (int64_t l = 0; l < c.num_layers(); ++l)
    if (!c.layers[l].moe) dense.push_back(l);
  out["mlp_only_layers"] = dense;
  out["decoder_sparse_step"] = 1;
}

json token_to_json(int32_t id) { return id >= 0 ? json(id) : json(nullptr); }

json eos_to_json(const std::vector<int32_t>& ids) {
  if (ids.empty()) return nullptr;
  return ids.size() == 1 ? json(ids[0]) : json(ids);
}
}  // namespace

json to_json(const ModelConfig& c) {
  const Family& family = family_of(c.model_type, "model");
  json out = {{"model_type", c.model_type},
              {"architectures", {family.architecture}},
              {"vocab_size", c.vocab_size},
              {"hidden_size", c.hidden_size},
              {"num_hidden_layers", c.num_layers()},
              {"num_attention_heads", c.num_heads},
              {"num_key_value_heads", c.num_kv_heads},
              {"max_position_embeddings", c.max_position},
              {"rms_norm_eps", c.rms_norm_eps},
              {"initializer_range", c.initializer_range},
              {"rope_theta", c.rope.theta},
              {"rope_scaling", rope_to_json(c.rope)},
              {"hidden_act", "silu"},
              {"attention_dropout", 0.0},
              {"use_cache", true},
              {"tie_word_embeddings", c.tied_embeddings},
              {"bos_token_id", token_to_json(c.bos_id)},
              {"eos_token_id", eos_to_json(c.eos_ids)},
              {"pad_token_id", token_to_json(c.pad_id)}};
  if (c.qk_norm != QkNorm::kFullWidth) out["head_dim"] = c.head_dim;
  if (family.dense_width) out["intermediate_size"] = c.dense_width;
  if (family.bias == Family::Bias::kAllByKey) out["attention_bias"] = c.output_bias;
  if (family.bias == Family::Bias::kQkvByKey) out["qkv_bias"] = c.qkv_bias;
  put_moe(c, family, out);
  put_layers(c, family, out);
  return out;
}

}  // namespace moge
