#include "moge/model/params.h"

#include <algorithm>

#include "moge/core/error.h"
#include "moge/core/rng.h"

namespace moge {

namespace {
constexpr int64_t kPadding = 16;  // elements: every tensor starts on a cache line

int64_t product(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}

/// Names under which the checkpoints of a family keep a layer's MLP.
struct MlpNames {
  std::string moe, gate, up, down;
};
MlpNames mlp_names(const ModelConfig& c) {
  if (c.model_type == "mixtral") return {"block_sparse_moe", "w1", "w3", "w2"};
  return {"mlp", "gate_proj", "up_proj", "down_proj"};
}

/// Lists storage tensors one after the other.
class Lister {
 public:
  explicit Lister(const ModelConfig& config) : c_(config) {}

  std::vector<ParamTensor> list() {
    const int64_t V = c_.vocab_size, D = c_.hidden_size;
    global("embed", &Params::embed_VD, TensorKind::kMatrix, {V, D});
    whole("model.embed_tokens.weight");
    for (layer_ = 0; layer_ < c_.num_layers(); ++layer_) list_layer();
    layer_ = -1;
    global("final_norm", &Params::final_norm_D, TensorKind::kVector, {D});
    whole("model.norm.weight");
    if (!c_.tied_embeddings) {
      global("lm_head", &Params::lm_head_VD, TensorKind::kMatrix, {V, D});
      whole("lm_head.weight");
    }
    return std::move(list_);
  }

 private:
  void list_layer() {
    const int64_t D = c_.hidden_size;
    prefix_ = "model.layers." + std::to_string(layer_) + ".";
    in_layer("attn_norm", &LayerParams::attn_norm_D, TensorKind::kVector, {D});
    whole(prefix_ + "input_layernorm.weight");
    list_attention();
    in_layer("ffn_norm", &LayerParams::ffn_norm_D, TensorKind::kVector, {D});
    whole(prefix_ + "post_attention_layernorm.weight");
    if (c_.layers[layer_].moe)
      list_moe();
    else
      list_experts(1, c_.dense_width, prefix_ + "mlp.",
                   {"mlp", "gate_proj", "up_proj", "down_proj"});
  }

  void list_attention() {
    const int64_t D = c_.hidden_size, A = c_.q_width(), NC = c_.kv_width();
    const std::string attn = prefix_ + "self_attn.";
    in_layer("w_qkv", &LayerParams::w_qkv_PD, TensorKind::kMatrix, {A + 2 * NC, D});
    part(attn + "q_proj.weight", {A, D});
    part(attn + "k_proj.weight", {NC, D});
    part(attn + "v_proj.weight", {NC, D});
    if (c_.qkv_bias) {
      in_layer("b_qkv", &LayerParams::b_qkv_P, TensorKind::kVector, {A + 2 * NC});
      part(attn + "q_proj.bias", {A});
      part(attn + "k_proj.bias", {NC});
      part(attn + "v_proj.bias", {NC});
    }
    if (c_.qk_norm != QkNorm::kNone) {
      const bool per_head = c_.qk_norm == QkNorm::kPerHead;
      in_layer("q_norm", &LayerParams::q_norm, TensorKind::kVector, {per_head ? c_.head_dim : A});
      whole(attn + "q_norm.weight");
      in_layer("k_norm", &LayerParams::k_norm, TensorKind::kVector, {per_head ? c_.head_dim : NC});
      whole(attn + "k_norm.weight");
    }
    in_layer("w_o", &LayerParams::w_o_DA, TensorKind::kMatrix, {D, A});
    whole(attn + "o_proj.weight");
    if (c_.output_bias) {
      in_layer("b_o", &LayerParams::b_o_D, TensorKind::kVector, {D});
      whole(attn + "o_proj.bias");
    }
  }

  void list_moe() {
    const int64_t D = c_.hidden_size, E = c_.moe.num_experts, S = c_.moe.shared_width;
    const MlpNames names = mlp_names(c_);
    const std::string moe = prefix_ + names.moe + ".";
    in_layer("w_router", &LayerParams::w_router_ED, TensorKind::kMatrix, {E, D});
    whole(moe + "gate.weight");
    if (c_.moe.router_scale) {
      in_layer("router_scale", &LayerParams::router_scale_E, TensorKind::kVector, {E});
      part(moe + "router_scale", {1, E});
    }
    list_experts(E, c_.moe.expert_width, moe, names);
    if (S == 0) return;
    in_layer("w_shared_gate_up", &LayerParams::w_shared_gate_up_2SD, TensorKind::kMatrix,
             {2 * S, D});
    part(moe + "shared_expert.gate_proj.weight", {S, D});
    part(moe + "shared_expert.up_proj.weight", {S, D});
    in_layer("w_shared_down", &LayerParams::w_shared_down_DS, TensorKind::kMatrix, {D, S});
    whole(moe + "shared_expert.down_proj.weight");
    if (c_.moe.shared_gate) {
      in_layer("w_shared_gate", &LayerParams::w_shared_gate_1D, TensorKind::kMatrix, {1, D});
      whole(moe + "shared_expert_gate.weight");
    }
  }

  /// Dense layers name the one expert's matrices without "experts.0.".
  void list_experts(int64_t E, int64_t F, const std::string& mlp, const MlpNames& names) {
    const int64_t D = c_.hidden_size;
    const bool moe = c_.layers[layer_].moe;
    const auto expert = [&](int64_t e) {
      return moe ? mlp + "experts." + std::to_string(e) + "." : mlp;
    };
    in_layer("w_gate_up", &LayerParams::w_gate_up_E2FD, TensorKind::kMatrix, {E, 2 * F, D});
    for (int64_t e = 0; e < E; ++e) {
      part(expert(e) + names.gate + ".weight", {F, D});
      part(expert(e) + names.up + ".weight", {F, D});
    }
    if (moe) list_.back().fused_name = mlp + "experts.gate_up_proj";
    in_layer("w_down", &LayerParams::w_down_EDF, TensorKind::kMatrix, {E, D, F});
    for (int64_t e = 0; e < E; ++e) part(expert(e) + names.down + ".weight", {D, F});
    if (moe) list_.back().fused_name = mlp + "experts.down_proj";
  }

  ParamTensor& add(const std::string& name, TensorKind kind, std::vector<int64_t> shape) {
    ParamTensor& t = list_.emplace_back();
    t.name = name;
    t.kind = kind;
    t.layer = layer_;
    t.numel = product(shape);
    t.shape = std::move(shape);
    t.offset = next_;
    next_ += (t.numel + kPadding - 1) / kPadding * kPadding;
    return t;
  }
  void global(const char* name, Tensor Params::*member, TensorKind kind,
              std::vector<int64_t> shape) {
    add(name, kind, std::move(shape)).global = member;
  }
  void in_layer(const char* name, Tensor LayerParams::*member, TensorKind kind,
                std::vector<int64_t> shape) {
    add("layers." + std::to_string(layer_) + "." + name, kind, std::move(shape)).in_layer = member;
  }
  void part(const std::string& name, const std::vector<int64_t>& shape) {
    auto& parts = list_.back().parts;
    const int64_t first = parts.empty() ? 0 : parts.back().first + parts.back().numel;
    parts.push_back({name, shape, first, product(shape)});
  }
  void whole(const std::string& name) { part(name, list_.back().shape); }

  const ModelConfig& c_;
  int64_t layer_ = -1, next_ = 0;
  std::string prefix_;
  std::vector<ParamTensor> list_;
};

Tensor view(void* data, DType dtype, const std::vector<int64_t>& shape) {
  switch (shape.size()) {
    case 1:
      return Tensor(data, dtype, {shape[0]});
    case 2:
      return Tensor(data, dtype, {shape[0], shape[1]});
    default:
      return Tensor(data, dtype, {shape[0], shape[1], shape[2]});
  }
}
}  // namespace

std::vector<ParamTensor> list_params(const ModelConfig& config) { return Lister(config).list(); }

int64_t flat_size(const std::vector<ParamTensor>& list) {
  const ParamTensor& last = list.back();
  return last.offset + (last.numel + kPadding - 1) / kPadding * kPadding;
}

int64_t count_params(const ModelConfig& config) {
  int64_t count = 0;
  for (const ParamTensor& tensor : list_params(config)) count += tensor.numel;
  return count;
}

int64_t count_active_params(const ModelConfig& config) {
  int64_t count = 0;
  for (const ParamTensor& t : list_params(config)) {
    const bool expert = t.layer >= 0 && config.layers[t.layer].moe && t.shape.size() == 3;
    count += expert ? t.numel / config.moe.num_experts * config.moe.top_k : t.numel;
  }
  return count;
}

Params view_params(const ModelConfig& config, float* flat) {
  const auto list = list_params(config);
  Params params;
  params.layers.resize(config.layers.size());
  params.flat = Tensor::of(flat, {flat_size(list)});
  for (const ParamTensor& t : list) {
    Tensor& member = t.layer < 0 ? params.*t.global : params.layers[t.layer].*t.in_layer;
    member = view(flat + t.offset, DType::kF32, t.shape);
  }
  return params;
}

Tensor tensor_of(const Params& params, const ParamTensor& tensor) {
  return tensor.layer < 0 ? params.*tensor.global : params.layers[tensor.layer].*tensor.in_layer;
}

Tensor part_of(const Params& params, const ParamTensor& tensor, const CheckpointPart& part) {
  const Tensor whole = tensor_of(params, tensor);
  return view(static_cast<char*>(whole.data) + part.first * size_of(whole.dtype), whole.dtype,
              part.shape);
}

void for_each_tensor(const ModelConfig& config, const Params& params, const TensorVisitor& visit) {
  for (const ParamTensor& t : list_params(config)) visit(t.name, tensor_of(params, t), t.kind);
}

void for_each_checkpoint_tensor(const ModelConfig& config, const Params& params,
                                const TensorVisitor& visit) {
  for (const ParamTensor& t : list_params(config))
    for (const CheckpointPart& part : t.parts) visit(part.name, part_of(params, t, part), t.kind);
}

}  // namespace moge
