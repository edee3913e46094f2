// The mirror of block.cc: input gradients first, weight gradients whenever the schedule wants them.
#include "moge/model/block.h"
#include "moge/model/block_parts.h"

namespace moge {

namespace {
/// g.dffn_in_TD = gradient through the dense MLP.
void mlp_backward_input(const Context& context, const Layer& layer, const BlockActivations& a,
                        const BlockGradients& g) {
  const LayerWeights& w = layer.weights;
  linear_backward_input(context, g.dffn_out_TD, w.w_down_EDF, {}, g.dact_RF);
  swiglu_backward(context, a.gate_up_R2F, g.dact_RF, g.dgate_up_R2F);
  linear_backward_input(context, g.dgate_up_R2F, w.w_gate_up_E2FD, {}, g.dffn_in_TD);
}

/// g.dffn_in_TD += gradient through the shared expert and its gate.
void shared_expert_backward_input(const Context& context, const Layer& layer,
                                  const BlockActivations& a, const BlockGradients& g,
                                  const Tensor& dout_TD) {
  const LayerWeights& w = layer.weights;
  Tensor dshared_TD = g.dffn_out_TD;
  if (layer.config.moe.shared_gate) {
    sigmoid_gate_backward(context, a.shared_gate_T, a.shared_out_TD, dout_TD, g.dshared_out_TD,
                          g.dshared_gate_T);
    cast(context, g.dshared_gate_T.reshape({g.dshared_gate_T.dim(0), 1}), g.dshared_gate_cast_T1);
    linear_backward_input(context, g.dshared_gate_cast_T1, w.w_shared_gate_1D, {}, g.dffn_in_TD,
                          {.accumulate = true});
    dshared_TD = g.dshared_out_TD;
  }
  linear_backward_input(context, dshared_TD, w.w_shared_down_DS, {}, g.dshared_act_TS);
  swiglu_backward(context, a.shared_gate_up_T2S, g.dshared_act_TS, g.dshared_gate_up_T2S);
  linear_backward_input(context, g.dshared_gate_up_T2S, w.w_shared_gate_up_2SD, {}, g.dffn_in_TD,
                        {.accumulate = true});
}

/// g.dffn_in_TD = gradient through experts, router and shared expert. A row's output is weighted
/// after the down projection; backward weighs before it, where rows are F wide, not D: dact_RF
/// comes without the weight, and a.act_RF is left multiplied by it for the weight gradient.
void moe_backward_input(const Context& context, const Layer& layer, const BlockActivations& a,
                        const BlockGradients& g, RouterLossScale router, const Tensor& dout_TD) {
  const LayerWeights& w = layer.weights;
  const Routing& r = a.routing;
  const RoutedRows dout = layer.dispatch.send(context, r, g.dffn_out_TD);
  linear_backward_input(context, dout.x, w.w_down_EDF, groups_of(r), g.dact_RF,
                        {.token_of_R = dout.token_of_R});
  layer.dispatch.send_weights(context, r, g.weights_R);
  swiglu_weighted_backward(context, a.gate_up_R2F, a.act_RF, g.dact_RF, g.weights_R, g.dgate_up_R2F,
                           a.act_RF, g.dweights_R);
  layer.dispatch.send_weights_backward(context, r, g.dweights_R, g.dweights_TK);
  linear_backward_input(context, g.dgate_up_R2F, w.w_gate_up_E2FD, groups_of(r), g.drows_RD);
  if (g.drouter_scale_E) fill_zero(context, g.drouter_scale_E);
  route_backward(context, r.probs_TE, r.ids_TK, w.router_scale_E, route_options(layer.config),
                 g.dweights_TK, router.balance ? a.dprobs_E : Tensor{}, router.z_scale,
                 a.router_lse_T, g.dlogits_TE, g.drouter_scale_E);
  linear_backward_input(context, g.dlogits_TE, w.w_router_ED, {}, g.dffn_in_TD);
  layer.dispatch.send_backward(context, r, g.drows_RD, g.dffn_in_TD);
  if (layer.config.moe.shared_width > 0)
    shared_expert_backward_input(context, layer, a, g, dout_TD);
}

/// g.dqkv_TP from the gradient of attention's output, back through RoPE and the norms of q and k.
void attention_backward_input(const Context& context, const Layer& layer, const Batch& batch,
                              const BlockActivations& a, const BlockGradients& g) {
  const ModelConfig& c = layer.config;
  const LayerWeights& w = layer.weights;
  const Heads h = attention_heads(c, a), d = split_heads(c, g.dqk_TQ, g.dqkv_TP);
  attention_backward(context, h.q_THC, h.k_TNC, h.v_TNC, a.attn_TA.split_last(c.head_dim), a.lse_TH,
                     g.dattn_TA.split_last(c.head_dim), batch.offsets, attention_options(layer),
                     d.q_THC, d.k_TNC, d.v_TNC);
  rope_backward(context, d.q_THC, batch.positions_T, layer.rope);
  rope_backward(context, d.k_TNC, batch.positions_T, layer.rope);
  if (c.qk_norm == QkNorm::kNone) return;
  for_normed(c, a.qkv_TP, g.dqk_TQ, g.dqkv_TP,
             [&](bool q, const Tensor& x, const Tensor& dy, const Tensor& dx) {
               rmsnorm_backward_input(context, dy, x, q ? w.q_norm : w.k_norm,
                                      q ? a.q_rstd : a.k_rstd,
                                      /*accumulate=*/false, dx);
             });
}
}  // namespace

void block_backward_input(const Context& context, const Layer& layer, const Batch& batch,
                          const BlockActivations& a, const BlockGradients& g,
                          RouterLossScale router, const Tensor& dx_TD) {
  const LayerWeights& w = layer.weights;

  cast(context, dx_TD, g.dffn_out_TD);
  if (layer.moe())
    moe_backward_input(context, layer, a, g, router, dx_TD);
  else
    mlp_backward_input(context, layer, a, g);
  layer.sum.sum(context, {}, g.dffn_in_TD);
  rmsnorm_backward_input(context, g.dffn_in_TD, a.mid_TD, w.ffn_norm_D, a.ffn_rstd_T,
                         /*accumulate=*/true, dx_TD);

  cast(context, dx_TD, g.dattn_out_TD);
  linear_backward_input(context, g.dattn_out_TD, w.w_o_DA, {}, g.dattn_TA);
  attention_backward_input(context, layer, batch, a, g);
  linear_backward_input(context, g.dqkv_TP, w.w_qkv_PD, {}, g.dattn_in_TD);
  layer.sum.sum(context, {}, g.dattn_in_TD);
  rmsnorm_backward_input(context, g.dattn_in_TD, a.x_TD, w.attn_norm_D, a.attn_rstd_T,
                         /*accumulate=*/true, dx_TD);
}

namespace {
void ffn_backward_weight(const Context& context, const Layer& layer, const BlockActivations& a,
                         const BlockGradients& g, const LayerParams& p) {
  const bool moe = layer.moe();
  const Groups groups = moe ? groups_of(a.routing) : Groups{};
  RoutedRows dout{g.dffn_out_TD, {}}, in{a.ffn_in_TD, {}};
  if (moe) {
    dout = layer.dispatch.send(context, a.routing, g.dffn_out_TD);
    in = layer.dispatch.send(context, a.routing, a.ffn_in_TD);
  }
  linear_backward_weight(context, dout.x, a.act_RF, groups, p.w_down_EDF, {},
                         {.dy = dout.token_of_R});
  linear_backward_weight(context, g.dgate_up_R2F, in.x, groups, p.w_gate_up_E2FD, {},
                         {.x = in.token_of_R});
  if (!moe) return;
  linear_backward_weight(context, g.dlogits_TE, a.ffn_in_TD, {}, p.w_router_ED, {});
  if (p.router_scale_E) add(context, g.drouter_scale_E, p.router_scale_E);
  if (!p.w_shared_down_DS) return;
  const bool gated = layer.config.moe.shared_gate;
  linear_backward_weight(context, gated ? g.dshared_out_TD : g.dffn_out_TD, a.shared_act_TS, {},
                         p.w_shared_down_DS, {});
  linear_backward_weight(context, g.dshared_gate_up_T2S, a.ffn_in_TD, {}, p.w_shared_gate_up_2SD,
                         {});
  if (gated)
    linear_backward_weight(context, g.dshared_gate_cast_T1, a.ffn_in_TD, {}, p.w_shared_gate_1D,
                           {});
}
}  // namespace

void block_backward_weight(const Context& context, const Layer& layer, const BlockActivations& a,
                           const BlockGradients& g, const LayerParams& p) {
  ffn_backward_weight(context, layer, a, g, p);
  rmsnorm_backward_weight(context, g.dffn_in_TD, a.mid_TD, a.ffn_rstd_T, p.ffn_norm_D);
  linear_backward_weight(context, g.dattn_out_TD, a.attn_TA, {}, p.w_o_DA, p.b_o_D);
  linear_backward_weight(context, g.dqkv_TP, a.attn_in_TD, {}, p.w_qkv_PD, p.b_qkv_P);
  if (layer.config.qk_norm != QkNorm::kNone)
    for_normed(layer.config, a.qkv_TP, g.dqk_TQ, g.dqkv_TP,
               [&](bool q, const Tensor& x, const Tensor& dy, const Tensor&) {
                 rmsnorm_backward_weight(context, dy, x, q ? a.q_rstd : a.k_rstd,
                                         q ? p.q_norm : p.k_norm);
               });
  rmsnorm_backward_weight(context, g.dattn_in_TD, a.x_TD, a.attn_rstd_T, p.attn_norm_D);
}

}  // namespace moge
