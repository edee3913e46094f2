#include "moge/config/model_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "moge/core/error.h"
#include "moge/core/test_errors.h"

namespace moge {
namespace {
using nlohmann::json;

json pangu() {
  return {{"model_type", "PanguProMoE"},
          {"vocab_size", 288},
          {"hidden_size", 64},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"num_experts", 16},
          {"num_experts_per_tok", 8},
          {"num_expert_groups", 4},
          {"moe_intermediate_size", 16},
          {"shared_expert_intermediate_size", 40}};
}
json family(const char* type) {
  return {{"model_type", type},     {"vocab_size", 288},        {"hidden_size", 64},
          {"num_hidden_layers", 4}, {"num_attention_heads", 4}, {"num_key_value_heads", 2},
          {"intermediate_size", 48}};
}
ModelConfig parse(const json& value) { return parse_model_config(value, "test.json"); }

/// The message of the error that `value` causes, "" if none.
std::string error_of(const json& value) {
  return message_of([&] { parse(value); });
}
json with(json value, const char* key, const json& entry) {
  value[key] = entry;
  return value;
}
#define EXPECT_REFUSED(value, part) \
  EXPECT_NE(error_of(value).find(part), std::string::npos) << error_of(value)

TEST(ModelConfig, PanguHasGroupsBiasesAndRouterScale) {
  const ModelConfig c = parse(pangu());
  EXPECT_EQ(c.moe.num_groups, 4);
  EXPECT_EQ(c.moe.top_k, 8);
  EXPECT_EQ(c.head_dim, 16);
  EXPECT_TRUE(c.qkv_bias && c.output_bias && c.moe.router_scale && !c.moe.renormalize);
  EXPECT_DOUBLE_EQ(c.rope.theta, 16e6);
  json no_groups = pangu();
  no_groups.erase("num_expert_groups");
  EXPECT_EQ(parse(no_groups).moe.num_groups, 8) << "the released model names no groups";
}

TEST(ModelConfig, BothSpellingsOfRopeAreTheSame) {
  json old_keys = family("llama"), new_keys = family("llama");
  old_keys["rope_theta"] = 5e5;
  old_keys["rope_scaling"] = {{"rope_type", "llama3"},
                              {"factor", 4.0},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 32}};
  new_keys["rope_parameters"] = old_keys["rope_scaling"];
  new_keys["rope_parameters"]["rope_theta"] = 5e5;
  EXPECT_EQ(parse(old_keys), parse(new_keys));
  EXPECT_EQ(parse(old_keys).rope.type, RopeConfig::Type::kLlama3);
  json typed = family("llama");
  typed["rope_scaling"] = {{"type", "linear"}, {"factor", 2.0}};
  EXPECT_EQ(parse(typed).rope.type, RopeConfig::Type::kLinear);
  EXPECT_DOUBLE_EQ(parse(family("mixtral")).rope.theta, 1e6) << "Mixtral's own default";
}

TEST(ModelConfig, WindowsFollowTransformers) {
  const auto windows = [](const json& value) {
    std::vector<int64_t> list;
    for (const auto& layer : parse(value).layers) list.push_back(layer.window);
    return list;
  };
  using List = std::vector<int64_t>;
  EXPECT_EQ(windows(family("mistral")), List(4, 4096))
      << "Mistral's default when the key is absent";
  EXPECT_EQ(windows(with(family("mistral"), "sliding_window", nullptr)), List(4, 0));
  EXPECT_EQ(windows(with(family("mixtral"), "sliding_window", 8)), List(4, 8));
  EXPECT_EQ(windows(with(family("qwen2"), "sliding_window", 8)), List(4, 0)) << "not in use";
  json qwen = with(with(family("qwen2"), "sliding_window", 8), "use_sliding_window", true);
  EXPECT_EQ(windows(with(qwen, "max_window_layers", 2)), (List{0, 0, 8, 8}));
  const json types = {"full_attention", "sliding_attention", "full_attention", "sliding_attention"};
  EXPECT_EQ(windows(with(qwen, "layer_types", types)), (List{0, 8, 0, 8}));
  json moe = with(with(family("qwen2_moe"), "sliding_window", 8), "use_sliding_window", true);
  EXPECT_EQ(windows(moe), (List{8, 0, 8, 0}));
  json qwen3_moe = with(with(family("qwen3_moe"), "sliding_window", 8), "use_sliding_window", true);
  EXPECT_EQ(windows(qwen3_moe), List(4, 8));
  EXPECT_EQ(windows(with(family("llama"), "sliding_window", 8)), List(4, 0)) << "Llama has none";
  EXPECT_REFUSED(with(family("qwen2"), "layer_types", types), "no sliding_window is in use");
  EXPECT_REFUSED(with(qwen, "layer_types", json{"full_attention"}), "has 1 entries");
  EXPECT_REFUSED(with(family("mixtral"), "sliding_window", 0), "sliding_window is 0");
}

TEST(ModelConfig, DenseLayersOfMoeFamilies) {
  const auto kinds = [](const json& value) {
    std::string list;
    for (const auto& layer : parse(value).layers) list += layer.moe ? 'm' : 'd';
    return list;
  };
  EXPECT_EQ(kinds(with(family("qwen3_moe"), "mlp_only_layers", {0, 2})), "dmdm");
  EXPECT_EQ(kinds(with(family("qwen2_moe"), "decoder_sparse_step", 2)), "dmdm");
  EXPECT_EQ(kinds(with(family("qwen3_moe"), "num_experts", 0)), "dddd");
  EXPECT_EQ(kinds(family("llama")), "dddd");
  EXPECT_EQ(parse(with(family("qwen3_moe"), "num_local_experts", 12)).moe.num_experts, 12);
  EXPECT_REFUSED(with(with(family("qwen3_moe"), "num_local_experts", 12), "num_experts", 16),
                 "num_experts is 16 but num_local_experts is 12");
}

TEST(ModelConfig, RefusesByNameWithTheNumbers) {
  EXPECT_REFUSED(json::array(), "not a JSON object");
  EXPECT_REFUSED(json::object(), "has no model_type");
  EXPECT_REFUSED(family("qwen4"), "model_type 'qwen4' is not known");
  EXPECT_REFUSED(with(pangu(), "num_attention_heads", 6), "hidden_size is 64, not divisible");
  EXPECT_REFUSED(with(pangu(), "num_key_value_heads", 3),
                 "num_attention_heads is 4, not divisible");
  EXPECT_REFUSED(with(pangu(), "num_expert_groups", 3), "num_experts is 16, not divisible");
  EXPECT_REFUSED(with(pangu(), "num_experts_per_tok", 6),
                 "num_experts_per_tok is 6, not divisible");
  EXPECT_REFUSED(with(pangu(), "num_experts_per_tok", 32), "more than the 16 experts");
  EXPECT_REFUSED(with(pangu(), "hidden_act", "gelu"), "hidden_act 'gelu'");
  EXPECT_REFUSED(with(pangu(), "rope_scaling", {{"rope_type", "yarn"}, {"factor", 2.0}}), "'yarn'");
  EXPECT_REFUSED(with(pangu(), "quantization_config", {{"bits", 4}}), "quantization_config");
  EXPECT_REFUSED(with(pangu(), "hidden_size", "64"), "must be a whole number");
  EXPECT_REFUSED(with(pangu(), "hidden_size", -64), "hidden_size is -64");
  EXPECT_REFUSED(with(pangu(), "hidden_size", int64_t{1} << 40), "must be between 1 and");
  EXPECT_REFUSED(with(family("olmoe"), "clip_qkv", 8.0), "clip_qkv is 8.0");
  EXPECT_EQ(error_of(with(family("olmoe"), "clip_qkv", nullptr)), "");
  EXPECT_REFUSED(with(family("llama"), "mlp_bias", true), "mlp_bias is true");
  EXPECT_EQ(error_of(with(family("llama"), "mlp_bias", false)), "");
  EXPECT_REFUSED(with(family("llama"), "partial_rotary_factor", 0.5), "partial_rotary_factor");
  EXPECT_REFUSED(with(family("llama"), "head_dim", 15), "head_dim is 15, must be even");
  EXPECT_TRUE(parse(with(family("llama"), "attention_bias", true)).output_bias);
}

TEST(ModelConfig, EveryPresetReadsAndWritesBack) {
  ASSERT_GE(preset_names().size(), 10u);
  for (const std::string& name : preset_names()) {
    const ModelConfig config = preset_config(name);
    EXPECT_EQ(parse_model_config(to_json(config), name), config) << name;
  }
  EXPECT_EQ(preset_config("pangu-pro-72b-a16b").layers.size(), 48u);
  EXPECT_EQ(preset_config("tiny-topk").moe.num_groups, 1);
  EXPECT_FALSE(preset_config("small-dense").layers[0].moe);
  EXPECT_THROW(preset_config("tinny"), Error);
}

TEST(ModelConfig, EveryFamilyWritesBackWhatItRead) {
  for (const char* type :
       {"olmoe", "mixtral", "qwen2_moe", "qwen3_moe", "llama", "mistral", "qwen2", "qwen3"}) {
    json value = family(type);
    value["sliding_window"] = 8;
    value["use_sliding_window"] = true;
    value["max_window_layers"] = 2;
    value["mlp_only_layers"] = {1};
    value["norm_topk_prob"] = true;
    value["eos_token_id"] = {2, 5};
    value["rope_scaling"] = {{"rope_type", "linear"}, {"factor", 2.0}};
    const ModelConfig config = parse(value);
    EXPECT_EQ(parse(to_json(config)), config) << type << " " << to_json(config).dump(1);
  }
}

}  // namespace
}  // namespace moge
