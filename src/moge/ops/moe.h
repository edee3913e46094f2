// The MoE layer as small ops: route, sort, permute, combine, auxiliary losses.
// T tokens, E experts, G groups, K chosen per token (K/G in each group), R = T*K routed rows,
// D model dim. Paper section 2.2; exact order in docs/numerics.md.
#pragma once

#include <cstdint>

#include "moge/ops/context.h"

namespace moge {

struct RouteOptions {
  int64_t num_groups = 1;    ///< groups are contiguous in expert index
  int64_t top_k = 1;         ///< over all groups
  bool renormalize = false;  ///< chosen weights divided by their sum (mixtral, qwen3_moe)
};

/// probs_TE = softmax(logits_TE) over all experts in fp32; in each group the top K/G experts (ties:
/// lowest index; NaN never before a number); weight = probability, renormalized if asked, times
/// router_scale_E[id] (absent: 1). ids_TK: by group, then by falling probability.
void route_forward(const Context& context, const Tensor& logits_TE, const Tensor& router_scale_E,
                   RouteOptions options, const Tensor& probs_TE, const Tensor& ids_TK,
                   const Tensor& weights_TK);

/// dlogits_TE (written) from dweights_TK, from dprobs_E (fp32 [E], the same addend to every token's
/// probability gradient: the auxiliary loss; may be absent) and from the z-loss
/// (z_scale * 2 * lse * softmax; 0 = off, else lse_T is needed). drouter_scale_E += (may be
/// absent).
void route_backward(const Context& context, const Tensor& probs_TE, const Tensor& ids_TK,
                    const Tensor& router_scale_E, RouteOptions options, const Tensor& dweights_TK,
                    const Tensor& dprobs_E, float z_scale, const Tensor& lse_T,
                    const Tensor& dlogits_TE, const Tensor& drouter_scale_E);

/// lse_T = log-sum-exp of each row of logits; returns the mean of lse^2 (the router z-loss).
double router_z_loss(const Context& context, const Tensor& logits_TE, const Tensor& lse_T);

/// Balancing loss (Eq. 8): alpha * sum_e f_e p_e, f_e = E / (K T) * count_e, p_e = mean_t probs_te.
/// Writes dprobs_E[e] = alpha * f_e / T, the gradient for every token's probability. Sums in fp64.
double balance_loss(const Context& context, const Tensor& probs_TE, const Tensor& offsets_E1,
                    int64_t top_k, double alpha, const Tensor& dprobs_E);

/// Counting sort of the T*K choices by expert, stable in (token, slot) order.
///   offsets_E1 [E+1] i32   rows of expert e are [offsets[e], offsets[e+1])
///   row_of_TK  [T, K] i32  the routed row of token t's slot k
///   token_of_R [R] i32     the token of each routed row
void sort_by_expert(const Context& context, const Tensor& ids_TK, int64_t num_experts,
                    const Tensor& offsets_E1, const Tensor& row_of_TK, const Tensor& token_of_R);

/// rows_RD[r] = x_TD[token_of_R[r]] (same dtype, fp32 or bf16).
void permute_forward(const Context& context, const Tensor& x_TD, const Tensor& token_of_R,
                     const Tensor& rows_RD);
/// dx_TD (fp32) += sum over the token's slots, pairwise over k in the fixed tree.
void permute_backward(const Context& context, const Tensor& drows_RD, const Tensor& row_of_TK,
                      const Tensor& dx_TD);

/// y_TD (fp32) = sum_k weights_TK[t][k] * rows_RD[row_of_TK[t][k]], summed inside each group in
/// slot order, then pairwise over the groups: ((0+1)+(2+3))+((4+5)+(6+7)). accumulate: y += that
/// sum.
void combine_forward(const Context& context, const Tensor& rows_RD, const Tensor& row_of_TK,
                     const Tensor& weights_TK, int64_t num_groups, bool accumulate,
                     const Tensor& y_TD);
/// values_R[row_of_TK[t][k]] = values_TK[t][k], and back (fp32).
void slots_to_rows(const Context& context, const Tensor& values_TK, const Tensor& row_of_TK,
                   const Tensor& values_R);
void rows_to_slots(const Context& context, const Tensor& values_R, const Tensor& row_of_TK,
                   const Tensor& values_TK);
/// drows_RD[row] = weight * dy (dtype of drows); dweights_TK = dot(dy, rows[row]) in fp32.
void combine_backward(const Context& context, const Tensor& dy_TD, const Tensor& rows_RD,
                      const Tensor& row_of_TK, const Tensor& weights_TK, const Tensor& drows_RD,
                      const Tensor& dweights_TK);

}  // namespace moge
