#include "moge/config/model_choice.h"

#include <nlohmann/json.hpp>
#include <optional>

namespace moge {

namespace {
template <class T>
void replace(T& value, const std::optional<T>& with) {
  if (with) value = *with;
}
}  // namespace

ModelConfig with_overrides(ModelConfig config, const ModelChoice& choice) {
  if (choice.num_layers && *choice.num_layers > 0 && !config.layers.empty())
    config.layers.resize(static_cast<size_t>(*choice.num_layers), config.layers.back());
  replace(config.hidden_size, choice.hidden_size);
  replace(config.num_heads, choice.num_attention_heads);
  replace(config.num_kv_heads, choice.num_query_groups);
  replace(config.head_dim, choice.kv_channels);
  replace(config.dense_width, choice.ffn_hidden_size);
  replace(config.max_position, choice.max_position_embeddings);
  replace(config.vocab_size, choice.vocab_size);
  replace(config.moe.num_experts, choice.num_experts);
  replace(config.moe.top_k, choice.moe_router_topk);
  replace(config.moe.num_groups, choice.moe_router_num_groups);
  replace(config.moe.expert_width, choice.moe_ffn_hidden_size);
  replace(config.moe.shared_width, choice.moe_shared_expert_intermediate_size);
  replace(config.rope.theta, choice.rotary_base);
  replace(config.rms_norm_eps, choice.norm_epsilon);
  replace(config.initializer_range, choice.init_method_std);
  return parse_model_config(to_json(config), "the model of the command line");
}

}  // namespace moge
