// The memory of one block: what forward leaves for backward, and what backward's first half leaves
// for its second. Sizes are a pure function of (config, layer, T, dtype, recompute), given by the
// formulas of plan/activations.h and allocated from an Arena that is sized by them.
// Shape letters as in block.h.
#pragma once

#include <cstdint>

#include "moge/config/model_config.h"
#include "moge/config/recompute.h"
#include "moge/model/seams.h"
#include "moge/runtime/arena.h"
#include "moge/tensor/tensor.h"

namespace moge {

/// Where the activations of a layer live.
enum class Keep : uint8_t {
  kTraining,        ///< kept tensors in memory of their own, the others in the shared workspace
  kInference,       ///< all in the shared workspace, nothing that only backward needs
  kFusedInference,  ///< and no rows of experts: one op makes their sum (block.h: fuses_experts)
};

struct BlockActivations {
  Tensor x_TD;  ///< the block's input, fp32

  Tensor attn_in_TD, attn_rstd_T;
  Tensor qkv_TP;                 ///< rotated in place, unless q and k are normed
  Tensor qk_TQ, q_rstd, k_rstd;  ///< normed and rotated q and k (families with q/k norm)
  Tensor attn_TA, lse_TH;
  Tensor mid_TD;  ///< residual stream after attention, fp32
  Tensor ffn_in_TD, ffn_rstd_T;

  Tensor router_logits_TE;  ///< fp32
  Routing routing;
  Tensor gate_up_R2F, act_RF, out_RD;  ///< dense layer: R = T, no out
  Tensor shared_gate_up_T2S, shared_act_TS;
  Tensor shared_gate_T, shared_out_TD;  ///< qwen2_moe: logit of the sigmoid gate, gated input

  Tensor dprobs_E, router_lse_T;  ///< of the router's losses
};

/// Where memory comes from: an Arena, or a part of one.
using Allocate = FunctionRef<void*(int64_t bytes)>;

/// Takes what the layer keeps from `own` and the rest from `workspace`, which layers share: it
/// starts anew for each.
BlockActivations make_activations(Allocate own, Allocate workspace, const ModelConfig& config,
                                  int64_t layer, int64_t num_tokens, DType dtype, Keep keep,
                                  Recompute recompute);

/// What backward_input leaves for backward_weight, and its temporaries.
struct BlockGradients {
  Tensor dffn_out_TD;  ///< gradient of the MLP's output in the activations' dtype
  Tensor dact_RF, dgate_up_R2F, drows_RD;
  Tensor weights_R, dweights_R, dweights_TK, dlogits_TE, drouter_scale_E;
  Tensor dshared_out_TD, dshared_gate_T, dshared_gate_cast_T1, dshared_act_TS, dshared_gate_up_T2S;
  Tensor dffn_in_TD;  ///< fp32
  Tensor dattn_out_TD, dattn_TA, dqk_TQ, dqkv_TP;
  Tensor dattn_in_TD;  ///< fp32
};

BlockGradients make_gradients(Allocate allocate, const ModelConfig& config, int64_t layer,
                              int64_t num_tokens, DType dtype);

}  // namespace moge
