#include "moge/model/block.h"

#include <cmath>

#include "moge/model/block_parts.h"
#include "moge/ops/expert_mlp.h"

namespace moge {

namespace {
/// Queries and keys normed, where the family norms them.
void norm_heads(const Context& context, const Layer& layer, const BlockActivations& a) {
  if (layer.config.qk_norm == QkNorm::kNone) return;
  const LayerWeights& w = layer.weights;
  const float eps = static_cast<float>(layer.config.rms_norm_eps);
  for_normed(layer.config, a.qkv_TP, a.qk_TQ, a.qk_TQ,
             [&](bool q, const Tensor& x, const Tensor& y, const Tensor&) {
               rmsnorm_forward(context, x, q ? w.q_norm : w.k_norm, eps, y,
                               q ? a.q_rstd : a.k_rstd);
             });
}

void rotate(const Context& context, const Layer& layer, const Batch& batch,
            const BlockActivations& a) {
  const Heads used = attention_heads(layer.config, a);
  rope_forward(context, used.q_THC, batch.positions_T, layer.rope);
  rope_forward(context, used.k_TNC, batch.positions_T, layer.rope);
}

/// Attention over the batch's own rows, or, serving, over the paged cache.
void attend(const Context& context, const Layer& layer, const Batch& batch,
            const BlockActivations& a) {
  const Heads h = attention_heads(layer.config, a);
  const Tensor out_THC = a.attn_TA.split_last(layer.config.head_dim);
  const AttentionOptions options = attention_options(layer);
  if (batch.paged()) {
    const PagedKv& cache = batch.caches[layer.index];
    rope_and_kv_write(context, h.q_THC, h.k_TNC, h.v_TNC, batch.positions_T, layer.rope,
                      batch.slices, cache);
    paged_attention(context, h.q_THC, batch.slices, cache, options, out_THC);
  } else {
    rotate(context, layer, batch, a);
    attention_forward(context, h.q_THC, h.k_TNC, h.v_TNC, batch.offsets, options, out_THC,
                      a.lse_TH);
  }
}

ExpertWeights expert_weights(const Layer& layer) {
  const LayerWeights& w = layer.weights;
  if (!layer.moe())  // a group of one expert
    return {.shared_gate_up_2SD = w.w_gate_up_E2FD,
            .shared_down_DS = w.w_down_EDF,
            .shared_down_sum = layer.sum.of_product(w.w_down_EDF.k)};
  return {.gate_up_E2FD = w.w_gate_up_E2FD,
          .down_EDF = w.w_down_EDF,
          .shared_gate_up_2SD = w.w_shared_gate_up_2SD,
          .shared_down_DS = w.w_shared_down_DS,
          .down_sum = layer.sum.of_product(w.w_down_EDF.k),
          .shared_down_sum = layer.sum.of_product(w.w_shared_down_DS.k)};
}

/// out_TD = MLP of one dense layer.
void mlp_forward(const Context& context, const Layer& layer, const BlockActivations& a,
                 const Tensor& out_TD) {
  const LayerWeights& w = layer.weights;
  if (fuses_experts(layer))
    return expert_mlp_forward(context, expert_weights(layer), {}, a.ffn_in_TD, out_TD);
  linear_forward(context, a.ffn_in_TD, w.w_gate_up_E2FD, {}, {}, a.gate_up_R2F);
  swiglu_forward(context, a.gate_up_R2F, a.act_RF);
  linear_forward(context, a.act_RF, w.w_down_EDF, {}, {}, out_TD,
                 layer.sum.of_product(w.w_down_EDF.k));
}

/// out_TD += the always-on expert, behind a sigmoid gate where the family has one.
void shared_expert_forward(const Context& context, const Layer& layer, const BlockActivations& a,
                           const Tensor& out_TD) {
  const LayerWeights& w = layer.weights;
  linear_forward(context, a.ffn_in_TD, w.w_shared_gate_up_2SD, {}, {}, a.shared_gate_up_T2S);
  swiglu_forward(context, a.shared_gate_up_T2S, a.shared_act_TS);
  LinearOptions down = layer.sum.of_product(w.w_shared_down_DS.k);
  if (!layer.config.moe.shared_gate) {
    down.accumulate = true;
    linear_forward(context, a.shared_act_TS, w.w_shared_down_DS, {}, {}, out_TD, down);
    return;
  }
  linear_forward(context, a.ffn_in_TD, w.w_shared_gate_1D, {}, {},
                 a.shared_gate_T.reshape({a.shared_gate_T.dim(0), 1}));
  linear_forward(context, a.shared_act_TS, w.w_shared_down_DS, {}, {}, a.shared_out_TD, down);
  sigmoid_gate_forward(context, a.shared_gate_T, a.shared_out_TD, out_TD);
}

/// out_TD = all that follows the routing, where the weights are packed for inference.
void experts_forward(const Context& context, const Layer& layer, const BlockActivations& a,
                     const Tensor& out_TD) {
  const LayerWeights& w = layer.weights;
  const Routing& r = a.routing;
  if (a.shared_gate_T)
    linear_forward(context, a.ffn_in_TD, w.w_shared_gate_1D, {}, {},
                   a.shared_gate_T.reshape({a.shared_gate_T.dim(0), 1}));
  expert_mlp_forward(context, expert_weights(layer),
                     {.offsets_E1 = r.offsets_E1,
                      .row_of_TK = r.row_of_TK,
                      .token_of_R = r.token_of_R,
                      .weights_TK = r.weights_TK,
                      .num_groups = layer.config.moe.num_groups,
                      .shared_gate_T = a.shared_gate_T},
                     a.ffn_in_TD, out_TD);
}

/// out_TD = mixture of (grouped) experts, paper section 2.2.
void moe_forward(const Context& context, const Layer& layer, const BlockActivations& a,
                 const Tensor& out_TD) {
  const LayerWeights& w = layer.weights;
  const Routing& r = a.routing;
  linear_forward(context, a.ffn_in_TD, w.w_router_ED, {}, {}, a.router_logits_TE);
  route_forward(context, a.router_logits_TE, w.router_scale_E, route_options(layer.config),
                r.probs_TE, r.ids_TK, r.weights_TK);
  layer.dispatch.plan(context, r);
  if (fuses_experts(layer)) return experts_forward(context, layer, a, out_TD);
  const RoutedRows rows = layer.dispatch.send(context, r, a.ffn_in_TD);
  linear_forward(context, rows.x, w.w_gate_up_E2FD, groups_of(r), {}, a.gate_up_R2F,
                 {.token_of_R = rows.token_of_R});
  swiglu_forward(context, a.gate_up_R2F, a.act_RF);
  linear_forward(context, a.act_RF, w.w_down_EDF, groups_of(r), {}, a.out_RD,
                 layer.sum.of_product(w.w_down_EDF.k));
  layer.dispatch.combine(context, r, a.out_RD, layer.config.moe.num_groups, out_TD);
  if (layer.config.moe.shared_width > 0) shared_expert_forward(context, layer, a, out_TD);
}
}  // namespace

bool fuses_experts(const Layer& layer) { return takes_expert_mlp(expert_weights(layer)); }

void block_forward(const Context& context, const Layer& layer, const Batch& batch,
                   const BlockActivations& a, const Tensor& out_TD) {
  const LayerWeights& w = layer.weights;
  const float eps = static_cast<float>(layer.config.rms_norm_eps);

  rmsnorm_forward(context, a.x_TD, w.attn_norm_D, eps, a.attn_in_TD, a.attn_rstd_T);
  linear_forward(context, a.attn_in_TD, w.w_qkv_PD, {}, w.b_qkv_P, a.qkv_TP);
  norm_heads(context, layer, a);
  attend(context, layer, batch, a);
  linear_forward(context, a.attn_TA, w.w_o_DA, {}, layer.sum.bias_of_product(w.b_o_D), a.mid_TD,
                 layer.sum.of_product(w.w_o_DA.k));
  layer.sum.sum(context, w.b_o_D, a.mid_TD);
  add(context, a.x_TD, a.mid_TD);

  rmsnorm_forward(context, a.mid_TD, w.ffn_norm_D, eps, a.ffn_in_TD, a.ffn_rstd_T);
  if (layer.moe())
    moe_forward(context, layer, a, out_TD);
  else
    mlp_forward(context, layer, a, out_TD);
  layer.sum.sum(context, {}, out_TD);
  add(context, a.mid_TD, out_TD);
}

void block_recompute(const Context& context, const Layer& layer, const Batch& batch,
                     Recompute recompute, const BlockActivations& a, const Tensor& out_TD) {
  if (recompute == Recompute::kOff) return;
  if (recompute == Recompute::kFull) return block_forward(context, layer, batch, a, out_TD);
  const LayerWeights& w = layer.weights;
  const float eps = static_cast<float>(layer.config.rms_norm_eps);
  rmsnorm_forward(context, a.x_TD, w.attn_norm_D, eps, a.attn_in_TD, a.attn_rstd_T);
  if (layer.config.qk_norm != QkNorm::kNone) {
    norm_heads(context, layer, a);
    rotate(context, layer, batch, a);
  }
  rmsnorm_forward(context, a.mid_TD, w.ffn_norm_D, eps, a.ffn_in_TD, a.ffn_rstd_T);
  swiglu_forward(context, a.gate_up_R2F, a.act_RF);
  if (a.shared_act_TS) swiglu_forward(context, a.shared_gate_up_T2S, a.shared_act_TS);
}

}  // namespace moge
