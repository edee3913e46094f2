#include "moge/config/model_config.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "moge/config/families.h"
#include "moge/config/json_reader.h"
#include "moge/core/error.h"
#include "moge/core/files.h"

namespace moge {

namespace {
constexpr int64_t kMaxSize = int64_t{1} << 24;  // of any one dimension: products stay in int64
constexpr int64_t kMaxLayers = 4096;
constexpr int64_t kMaxConfigBytes = int64_t{16} << 20;

/// Keys that change what a model computes and that no family here implements, with the value that
/// means "not used" (null always does).
struct Neutral {
  const char* key;
  double value;
};
constexpr Neutral kNotImplemented[] = {
    {"compression_config", NAN},
    {"clip_qkv", NAN},
    {"attn_logit_softcapping", NAN},
    {"final_logit_softcapping", NAN},
    {"logit_scale", 1.0},
    {"logits_scaling", 1.0},
    {"embedding_multiplier", 1.0},
    {"residual_multiplier", 1.0},
    {"attention_multiplier", NAN},
    {"query_pre_attn_scalar", NAN},
    {"partial_rotary_factor", 1.0},
    {"rotary_pct", 1.0},
    {"attention_dropout", 0.0},
    {"router_jitter_noise", 0.0},
    {"attention_chunk_size", NAN},
    {"num_nextn_predict_layers", 0.0},
    {"routed_scaling_factor", 1.0},
    {"mlp_bias", 0.0},
};

void refuse_unimplemented(const JsonReader& in) {
  for (const Neutral& item : kNotImplemented) {
    const auto* value = in.find(item.key);
    if (!value) continue;
    const bool neutral = (value->is_number() && value->get<double>() == item.value) ||
                         (value->is_boolean() && value->get<bool>() == (item.value == 1.0) &&
                          !std::isnan(item.value));
    check(neutral, "{}: {} is {}, which is not implemented", in.where(), item.key,
          JsonReader::shown(*value));
  }
  const std::string act = in.text("hidden_act", "silu");
  check(act == "silu" || act == "swish", "{}: hidden_act '{}' is not implemented (only silu)",
        in.where(), act);
}

RopeConfig read_rope(const JsonReader& in, const Family& family, int64_t max_position) {
  RopeConfig rope;
  const nlohmann::json empty = nlohmann::json::object();
  const auto* scaling = in.find("rope_scaling");
  const auto* parameters = in.find("rope_parameters");
  const nlohmann::json& values = scaling && !scaling->empty() ? *scaling
                                 : parameters                 ? *parameters
                                                              : empty;
  const JsonReader r(values,
                     in.where() + ": " + (&values == scaling ? "rope_scaling" : "rope_parameters"));
  for (const auto& [key, value] : values.items())
    check(!value.is_object(), "{}: a RoPE of its own for '{}' is not implemented", r.where(), key);
  rope.theta =
      r.number("rope_theta", in.number("rope_theta", family.rope_theta, 1.0, 1e15), 1.0, 1e15);
  r.number("partial_rotary_factor", 1.0, 1.0, 1.0);
  const std::string type = r.text("rope_type", r.text("type", "default"));
  if (type == "default") return rope;
  check(type == "linear" || type == "llama3",
        "{}: rope_type '{}' is not implemented (known: default, linear, llama3)", in.where(), type);
  check(r.find("factor"), "{}: rope_type {} has no factor", in.where(), type);
  rope.factor = r.number("factor", 1.0, 1e-6, 1e9);
  rope.type = RopeConfig::Type::kLinear;
  if (type == "linear") return rope;
  rope.type = RopeConfig::Type::kLlama3;
  for (const char* key : {"low_freq_factor", "high_freq_factor"})
    check(r.find(key), "{}: rope_type llama3 has no {}", in.where(), key);
  rope.low_freq_factor = r.number("low_freq_factor", 1.0, 1e-6, 1e6);
  rope.high_freq_factor = r.number("high_freq_factor", 4.0, 1e-6, 1e6);
  check(rope.low_freq_factor < rope.high_freq_factor,
        "{}: low_freq_factor is {}, must be below high_freq_factor, which is {}", in.where(),
        rope.low_freq_factor, rope.high_freq_factor);
  const char* length = "original_max_position_embeddings";
  const int64_t inner = r.integer(length, max_position, 1, int64_t{1} << 40);
  rope.original_max_position = in.integer(length, inner, 1, int64_t{1} << 40);
  return rope;
}

/// One size under either of two names; both together must agree.
int64_t read_either(const JsonReader& in, const char* a, const char* b, int64_t otherwise) {
  const int64_t first = in.integer(a, otherwise, 0, kMaxSize);
  const int64_t second = in.integer(b, first, 0, kMaxSize);
  check(!in.find(a) || first == second, "{}: {} is {} but {} is {}", in.where(), a, first, b,
        second);
  return second;
}

MoeConfig read_moe(const JsonReader& in, const Family& family) {
  MoeConfig moe;
  if (!family.moe()) return moe;
  moe.num_experts = read_either(in, "num_experts", "num_local_experts", family.experts);
  if (family.some_layers_dense() && moe.num_experts == 0) return moe;
  check(moe.num_experts > 0, "{}: num_experts is 0 but {} has experts in every layer", in.where(),
        family.model_type);
  moe.top_k = in.integer("num_experts_per_tok", family.top_k, 1, kMaxSize);
  moe.expert_width =
      family.expert_width
          ? in.integer("moe_intermediate_size", family.expert_width, 1, kMaxSize)
          : in.integer("intermediate_size", family.is("olmoe") ? 2048 : 14336, 1, kMaxSize);
  if (family.shared_width)
    moe.shared_width =
        in.integer("shared_expert_intermediate_size", family.shared_width, 1, kMaxSize);
  moe.shared_gate = family.is("qwen2_moe");
  moe.router_scale = family.grouped();
  moe.renormalize =
      family.renormalize == Family::Renormalize::kAlways ||
      (family.renormalize == Family::Renormalize::kByKey && in.boolean("norm_topk_prob", false));
  check(family.renormalize != Family::Renormalize::kNever || !in.boolean("norm_topk_prob", false),
        "{}: norm_topk_prob true is not implemented for {}", in.where(), family.model_type);
  moe.aux_loss_coeff = in.number("router_aux_loss_coef", family.aux_loss_coeff, 0.0, 1e6);
  moe.num_groups = family.grouped() ? in.integer("num_expert_groups", 8, 1, kMaxSize) : 1;
  check(moe.top_k <= moe.num_experts, "{}: num_experts_per_tok is {}, more than the {} experts",
        in.where(), moe.top_k, moe.num_experts);
  check(moe.num_experts % moe.num_groups == 0,
        "{}: num_experts is {}, not divisible by num_expert_groups, which is {}", in.where(),
        moe.num_experts, moe.num_groups);
  check(moe.top_k % moe.num_groups == 0,
        "{}: num_experts_per_tok is {}, not divisible by num_expert_groups, which is {}",
        in.where(), moe.top_k, moe.num_groups);
  return moe;
}

void read_mlp_kinds(const JsonReader& in, const Family& family, ModelConfig& config) {
  for (LayerConfig& layer : config.layers) layer.moe = config.moe.num_experts > 0;
  if (!family.some_layers_dense()) return;
  const int64_t step = in.integer("decoder_sparse_step", 1, 1, kMaxLayers);
  for (int64_t l = 0; l < config.num_layers(); ++l)
    if ((l + 1) % step != 0) config.layers[l].moe = false;
  const auto* only = in.find("mlp_only_layers");
  if (!only) return;
  check(only->is_array(), "{}: mlp_only_layers is {}, must be a list", in.where(),
        JsonReader::shown(*only));
  for (const auto& entry : *only) {
    const int64_t l = in.as_integer("mlp_only_layers", entry);
    if (0 <= l && l < config.num_layers()) config.layers[l].moe = false;
  }
}

/// layer_types of families that look at it; empty where absent.
std::vector<bool> read_sliding_layers(const JsonReader& in, int64_t num_layers) {
  const auto* types = in.find("layer_types");
  if (!types) return {};
  check(types->is_array() && static_cast<int64_t>(types->size()) == num_layers,
        "{}: layer_types has {} entries, num_hidden_layers is {}", in.where(),
        types->is_array() ? types->size() : 0, num_layers);
  std::vector<bool> sliding;
  for (const auto& type : *types) {
    check(type == "full_attention" || type == "sliding_attention",
          "{}: layer_types names {}, which is not implemented (known: full_attention, "
          "sliding_attention)",
          in.where(), JsonReader::shown(type));
    sliding.push_back(type == "sliding_attention");
  }
  return sliding;
}

void read_windows(const JsonReader& in, const Family& family, ModelConfig& config) {
  using Window = Family::Window;
  if (family.window == Window::kNone) return;
  const bool used = family.window == Window::kAll || in.boolean("use_sliding_window", false);
  // An explicit null means no window, an absent key the family's default.
  const int64_t otherwise = in.has_key("sliding_window") ? 0 : family.window_tokens;
  const bool none = !used || (!in.find("sliding_window") && otherwise == 0);
  const int64_t window = none ? 0 : in.integer("sliding_window", otherwise, 1, int64_t{1} << 40);
  const int64_t L = config.num_layers();
  std::vector<bool> sliding(L, true);
  if (family.window == Window::kFromLayer || family.window == Window::kAlternating) {
    const int64_t limit = in.integer("max_window_layers", 28, 0, INT64_MAX);
    for (int64_t l = 0; l < L; ++l)
      sliding[l] = family.window == Window::kFromLayer ? l >= limit : l % 2 == 0 && l < limit;
    const auto listed = read_sliding_layers(in, L);
    if (!listed.empty()) {
      sliding = listed;
      for (int64_t l = 0; l < L; ++l)
        check(!sliding[l] || window > 0,
              "{}: layer_types makes layer {} sliding_attention but no sliding_window is in use",
              in.where(), l);
    }
  }
  for (int64_t l = 0; l < L; ++l) config.layers[l].window = sliding[l] ? window : 0;
}

void read_biases(const JsonReader& in, const Family& family, ModelConfig& config) {
  using Bias = Family::Bias;
  const bool all = family.bias == Bias::kAll ||
                   (family.bias == Bias::kAllByKey && in.boolean("attention_bias", false));
  config.qkv_bias = all || family.bias == Bias::kQkv ||
                    (family.bias == Bias::kQkvByKey && in.boolean("qkv_bias", true));
  config.output_bias = all;
}

int32_t read_token(const JsonReader& in, const char* key, int32_t otherwise) {
  if (in.has_key(key) && !in.find(key)) return -1;
  return static_cast<int32_t>(in.integer(key, otherwise, -1, INT32_MAX));
}

std::vector<int32_t> read_eos(const JsonReader& in, int32_t otherwise) {
  std::vector<int32_t> ids;
  const auto* value = in.find("eos_token_id");
  if (value && value->is_array()) {
    for (const auto& entry : *value) {
      const int64_t id = in.as_integer("eos_token_id", entry);
      check(0 <= id && id <= INT32_MAX, "{}: eos_token_id holds {}", in.where(), id);
      ids.push_back(static_cast<int32_t>(id));
    }
  } else if (const int32_t id = read_token(in, "eos_token_id", otherwise); id >= 0) {
    ids.push_back(id);
  }
  return ids;
}

void read_heads(const JsonReader& in, const Family& family, ModelConfig& c) {
  c.num_heads = in.integer("num_attention_heads", family.heads, 1, kMaxSize);
  const bool as_many = in.has_key("num_key_value_heads") || family.kv_heads == 0;
  c.num_kv_heads =
      in.integer("num_key_value_heads", as_many ? c.num_heads : family.kv_heads, 1, kMaxSize);
  check(c.num_heads % c.num_kv_heads == 0,
        "{}: num_attention_heads is {}, not divisible by num_key_value_heads, which is {}",
        in.where(), c.num_heads, c.num_kv_heads);
  const bool own = in.find("head_dim") || (family.head_dim && !in.has_key("head_dim"));
  check(own || c.hidden_size % c.num_heads == 0,
        "{}: hidden_size is {}, not divisible by num_attention_heads, which is {}", in.where(),
        c.hidden_size, c.num_heads);
  c.head_dim =
      in.integer("head_dim", own ? family.head_dim : c.hidden_size / c.num_heads, 1, 65536);
  check(c.head_dim % 2 == 0, "{}: head_dim is {}, must be even for RoPE", in.where(), c.head_dim);
  check(family.qk_norm != QkNorm::kFullWidth || c.q_width() == c.hidden_size,
        "{}: head_dim {} times {} heads is not hidden_size {}, which {} needs", in.where(),
        c.head_dim, c.num_heads, c.hidden_size, family.model_type);
}

nlohmann::json parse_json_file(const std::filesystem::path& path) {
  const std::string text = read_file(path, kMaxConfigBytes);
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    fail("{}: is not valid JSON: {}", path.string(), error.what());
  }
}
}  // namespace

ModelConfig parse_model_config(const nlohmann::json& json, const std::string& where) {
  const JsonReader in(json, where);
  check(in.find("model_type"), "{}: has no model_type", where);
  const Family& family = family_of(in.text("model_type", ""), where);
  refuse_unimplemented(in);
  if (const auto* quantization = in.find("quantization_config"))
    parse_quantization(*quantization, where);  // what is not implemented is refused at once
  ModelConfig c;
  c.model_type = family.model_type;
  c.vocab_size = in.integer("vocab_size", family.vocab, 1, kMaxSize);
  c.hidden_size = in.integer("hidden_size", family.hidden, 1, kMaxSize);
  c.layers.resize(in.integer("num_hidden_layers", family.layers, 1, kMaxLayers));
  read_heads(in, family, c);
  if (family.dense_width)
    c.dense_width = in.integer("intermediate_size", family.dense_width, 1, kMaxSize);
  c.max_position = in.integer("max_position_embeddings", family.max_position, 1, int64_t{1} << 30);
  c.rms_norm_eps = in.number("rms_norm_eps", family.rms_norm_eps, 0.0, 1.0);
  c.initializer_range = in.number("initializer_range", 0.02, 0.0, 1e3);
  c.rope = read_rope(in, family, c.max_position);
  c.qk_norm = family.qk_norm;
  c.tied_embeddings = in.boolean("tie_word_embeddings", false);
  read_biases(in, family, c);
  c.moe = read_moe(in, family);
  read_mlp_kinds(in, family, c);
  read_windows(in, family, c);
  c.bos_id = read_token(in, "bos_token_id", family.bos);
  c.pad_id = read_token(in, "pad_token_id", family.pad);
  c.eos_ids = read_eos(in, family.eos);
  return c;
}

ModelConfig load_model_config(const std::filesystem::path& folder) {
  const auto path = folder / "config.json";
  check(std::filesystem::exists(path), "{}: no such file", path.string());
  ModelConfig config = parse_model_config(parse_json_file(path), path.string());
  const auto generation = folder / "generation_config.json";
  if (!std::filesystem::exists(generation)) return config;
  const auto json = parse_json_file(generation);
  const JsonReader in(json, generation.string());
  std::set<int32_t> ids(config.eos_ids.begin(), config.eos_ids.end());
  for (int32_t id : read_eos(in, -1)) ids.insert(id);
  config.eos_ids.assign(ids.begin(), ids.end());
  return config;
}

QuantizationConfig load_quantization(const std::filesystem::path& folder) {
  const auto path = folder / "config.json";
  const auto json = parse_json_file(path);
  const auto* value = JsonReader(json, path.string()).find("quantization_config");
  return parse_quantization(value ? *value : nlohmann::json(), path.string());
}

}  // namespace moge
