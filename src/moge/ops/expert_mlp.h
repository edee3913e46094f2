// The feed-forward half of a layer for inference in one go, with two barriers: gate and up with
// SwiGLU behind them, then down with the weighted sum over each token's experts behind it. The
// shared expert's tasks are among the routed ones'.
// T tokens, D model dim, E experts, K chosen per token, R = T*K routed rows, F and S expert widths.
#pragma once

#include "moge/ops/linear.h"

namespace moge {

/// Packed for inference: gate_up paired, all in one format. A kind of experts may be absent.
struct ExpertWeights {
  Weight gate_up_E2FD, down_EDF;              ///< routed
  Weight shared_gate_up_2SD, shared_down_DS;  ///< sees every token; a dense layer has only this
  LinearOptions down_sum = {}, shared_down_sum = {};  ///< sum_in_eighths and k_slices, for floats
};

/// Where the tokens go (ops/moe.h: sort_by_expert, route_forward).
struct ExpertRouting {
  Tensor offsets_E1, row_of_TK, token_of_R;  ///< i32
  Tensor weights_TK;                         ///< fp32
  int64_t num_groups = 1;
  Tensor shared_gate_T;  ///< fp32 logits of the shared expert's sigmoid gate; may be absent
};

/// Whether these weights are packed for expert_mlp_forward.
bool takes_expert_mlp(const ExpertWeights& weights);

/// out_TD (fp32) = sum over slots of weights_TK * down_e(silu(gate_e x) * up_e x), inside each
/// group in slot order, then pairwise over the groups, plus the shared expert (times its gate).
/// x_TD: fp32 or bf16, the type of weights that are floats; their activations have it too (rounded
/// once, behind SwiGLU). A token's bits depend neither on its batch nor on the number of threads.
void expert_mlp_forward(const Context& context, const ExpertWeights& weights,
                        const ExpertRouting& routing, const Tensor& x_TD, const Tensor& out_TD);

struct ExpertMlpSizes {
  int64_t T, K, E, D, F, S;
};
/// Scratch that one call takes at most.
size_t expert_mlp_scratch_bytes(const Context& context, const ExpertMlpSizes& sizes);

}  // namespace moge
