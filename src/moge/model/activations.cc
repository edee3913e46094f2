#include "moge/model/activations.h"

namespace moge {

namespace {
/// When training keeps a tensor for backward.
enum class Class {
  kAlways,     ///< whatever is computed again
  kState,      ///< unless the whole block is computed again
  kCheap,      ///< only if nothing is computed again
  kBackward,   ///< as kState; inference does without
  kTemporary,  ///< never: backward does not look at it
};

bool keeps(Class kind, Recompute recompute) {
  switch (kind) {
    case Class::kAlways:
      return true;
    case Class::kState:
    case Class::kBackward:
      return recompute != Recompute::kFull;
    case Class::kCheap:
      return recompute == Recompute::kOff;
    case Class::kTemporary:
      return false;
  }
  return false;
}

class Maker {
 public:
  Maker(Allocate own, Allocate workspace, const ModelConfig& config, int64_t layer, int64_t T,
        DType dtype, Keep keep, Recompute recompute)
      : own_(own),
        workspace_(workspace),
        c_(config),
        moe_(config.layers[layer].moe),
        T_(T),
        dtype_(dtype),
        training_(keep == Keep::kTraining),
        fused_(keep == Keep::kFusedInference),
        recompute_(recompute) {}

  BlockActivations make() {
    const int64_t D = c_.hidden_size;
    if (training_) a_.x_TD = take(Class::kAlways, DType::kF32, {T_, D});
    a_.attn_in_TD = take(Class::kCheap, dtype_, {T_, D});
    a_.attn_rstd_T = take(Class::kBackward, DType::kF32, {T_});
    make_attention();
    a_.mid_TD = take(Class::kState, DType::kF32, {T_, D});
    a_.ffn_in_TD = take(Class::kCheap, dtype_, {T_, D});
    a_.ffn_rstd_T = take(Class::kBackward, DType::kF32, {T_});
    if (moe_)
      make_moe();
    else
      make_experts(T_, c_.dense_width);
    return a_;
  }

 private:
  void make_attention() {
    const int64_t H = c_.num_heads, N = c_.num_kv_heads, C = c_.head_dim;
    a_.qkv_TP = take(Class::kState, dtype_, {T_, (H + 2 * N) * C});
    if (c_.qk_norm != QkNorm::kNone) {
      const bool per_head = c_.qk_norm == QkNorm::kPerHead;
      a_.qk_TQ = take(Class::kCheap, dtype_, {T_, (H + N) * C});
      a_.q_rstd = take(Class::kBackward, DType::kF32, {T_ * (per_head ? H : 1)});
      a_.k_rstd = take(Class::kBackward, DType::kF32, {T_ * (per_head ? N : 1)});
    }
    a_.attn_TA = take(Class::kState, dtype_, {T_, H * C});
    a_.lse_TH = take(Class::kBackward, DType::kF32, {T_, H});
  }

  void make_moe() {
    const int64_t D = c_.hidden_size, E = c_.moe.num_experts, K = c_.moe.top_k, R = T_ * K;
    const int64_t S = c_.moe.shared_width;
    Routing& r = a_.routing;
    a_.router_logits_TE = take(Class::kTemporary, DType::kF32, {T_, E});
    r.probs_TE = take(Class::kState, DType::kF32, {T_, E});
    r.ids_TK = take(Class::kState, DType::kI32, {T_, K});
    r.weights_TK = take(Class::kState, DType::kF32, {T_, K});
    r.offsets_E1 = take(Class::kState, DType::kI32, {E + 1});
    r.row_of_TK = take(Class::kState, DType::kI32, {T_, K});
    r.token_of_R = take(Class::kState, DType::kI32, {R});
    make_experts(R, c_.moe.expert_width);
    if (!fused_) a_.out_RD = take(Class::kTemporary, dtype_, {R, D});
    if (S > 0 && !fused_) {
      a_.shared_gate_up_T2S = take(Class::kState, dtype_, {T_, 2 * S});
      a_.shared_act_TS = take(Class::kCheap, dtype_, {T_, S});
    }
    if (S > 0 && c_.moe.shared_gate) {
      a_.shared_gate_T = take(Class::kState, DType::kF32, {T_});
      if (!fused_) a_.shared_out_TD = take(Class::kState, dtype_, {T_, D});
    }
    if (training_) {
      a_.dprobs_E = take(Class::kAlways, DType::kF32, {E});
      a_.router_lse_T = take(Class::kAlways, DType::kF32, {T_});
    }
  }

  void make_experts(int64_t R, int64_t F) {
    if (fused_) return;
    a_.gate_up_R2F = take(Class::kState, dtype_, {R, 2 * F});
    a_.act_RF = take(Class::kCheap, dtype_, {R, F});
  }

  Tensor take(Class kind, DType dtype, std::initializer_list<int64_t> shape) {
    if (kind == Class::kBackward && !training_) return {};
    Tensor tensor(nullptr, dtype, shape);
    const bool own = training_ && keeps(kind, recompute_);
    tensor.data = own ? own_(tensor.bytes()) : workspace_(tensor.bytes());
    return tensor;
  }

  Allocate own_, workspace_;
  const ModelConfig& c_;
  bool moe_;
  int64_t T_;
  DType dtype_;
  bool training_, fused_;
  Recompute recompute_;
  BlockActivations a_;
};
}  // namespace

BlockActivations make_activations(Allocate own, Allocate workspace, const ModelConfig& config,
                                  int64_t layer, int64_t num_tokens, DType dtype, Keep keep,
                                  Recompute recompute) {
  return Maker(own, workspace, config, layer, num_tokens, dtype, keep, recompute).make();
}

BlockGradients make_gradients(Allocate allocate, const ModelConfig& c, int64_t layer, int64_t T,
                              DType dtype) {
  const auto take = [&](DType type, std::initializer_list<int64_t> shape) {
    Tensor tensor(nullptr, type, shape);
    tensor.data = allocate(tensor.bytes());
    return tensor;
  };
  BlockGradients g;
  const bool moe = c.layers[layer].moe;
  const int64_t D = c.hidden_size, S = moe ? c.moe.shared_width : 0;
  const bool gated = S > 0 && c.moe.shared_gate;
  g.dffn_out_TD = take(dtype, {T, D});
  const int64_t R = moe ? T * c.moe.top_k : T, F = moe ? c.moe.expert_width : c.dense_width;
  g.dact_RF = take(dtype, {R, F});
  g.dgate_up_R2F = take(dtype, {R, 2 * F});
  if (moe) {
    g.drows_RD = take(dtype, {R, D});
    g.weights_R = take(DType::kF32, {R});
    g.dweights_R = take(DType::kF32, {R});
    g.dweights_TK = take(DType::kF32, {T, c.moe.top_k});
    g.dlogits_TE = take(dtype, {T, c.moe.num_experts});
    if (c.moe.router_scale) g.drouter_scale_E = take(DType::kF32, {c.moe.num_experts});
  }
  if (gated) {
    g.dshared_out_TD = take(dtype, {T, D});
    g.dshared_gate_T = take(DType::kF32, {T});
    g.dshared_gate_cast_T1 = take(dtype, {T, 1});
  }
  if (S > 0) {
    g.dshared_act_TS = take(dtype, {T, S});
    g.dshared_gate_up_T2S = take(dtype, {T, 2 * S});
  }
  g.dffn_in_TD = take(DType::kF32, {T, D});
  g.dattn_out_TD = take(dtype, {T, D});
  g.dattn_TA = take(dtype, {T, c.q_width()});
  if (c.qk_norm != QkNorm::kNone) g.dqk_TQ = take(dtype, {T, c.q_width() + c.kv_width()});
  g.dqkv_TP = take(dtype, {T, c.qkv_width()});
  g.dattn_in_TD = take(DType::kF32, {T, D});
  return g;
}

}  // namespace moge
