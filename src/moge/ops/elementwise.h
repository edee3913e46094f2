// The small ops of the block: embedding, RMSNorm, RoPE, SwiGLU, sigmoid gate, sums and casts.
// T tokens, D model dim, V vocabulary, H heads, C head dim, F expert hidden.
#pragma once

#include <cstdint>
#include <span>

#include "moge/ops/context.h"

namespace moge {

/// x_TD (fp32) = table_VD[ids_T] (fp32 or bf16). An id outside [0, V) throws.
void embedding_forward(const Context& context, const Tensor& ids_T, const Tensor& table_VD,
                       const Tensor& x_TD);
/// dtable_VD (fp32) += dx_TD at ids_T, in token order.
void embedding_backward(const Context& context, const Tensor& ids_T, const Tensor& dx_TD,
                        const Tensor& dtable_VD);

/// y = x * rstd * w over the last dimension of [T, D] or [T, H, C] views (w has the last
/// dimension's length); x and y fp32 or bf16, y may be x itself; w fp32. rstd (fp32, one per row;
/// may be absent) is kept for backward.
void rmsnorm_forward(const Context& context, const Tensor& x, const Tensor& w, float eps,
                     const Tensor& y, const Tensor& rstd);
/// dx (fp32 or bf16) = or += the gradient of x; x is the input that forward saw.
void rmsnorm_backward_input(const Context& context, const Tensor& dy, const Tensor& x,
                            const Tensor& w, const Tensor& rstd, bool accumulate, const Tensor& dx);
/// dw (fp32) += sum over rows of dy * x * rstd, in a fixed order of row blocks.
void rmsnorm_backward_weight(const Context& context, const Tensor& dy, const Tensor& x,
                             const Tensor& rstd, const Tensor& dw);

/// Angles of every position: cos, sin [positions, C/2] fp32, from fp64 frequencies.
struct RopeTable {
  Tensor cos_PC2, sin_PC2;
};
/// Rotates halves in place: x [T, H, C], fp32 or bf16; position of row t is positions_T[t] (i32).
/// backward = the inverse rotation of the gradient.
void rope_forward(const Context& context, const Tensor& x_THC, const Tensor& positions_T,
                  const RopeTable& table);
void rope_backward(const Context& context, const Tensor& dx_THC, const Tensor& positions_T,
                   const RopeTable& table);
/// Parts of it, for ops that rotate on their way: the checks, and rows [begin, end) alone.
void check_rope(const Tensor& x_THC, const Tensor& positions_T, const RopeTable& table);
void rope_rows(const Context& context, const Tensor& x_THC, const Tensor& positions_T,
               const RopeTable& table, int64_t begin, int64_t end, float direction = 1.0f);

/// act_RF = silu(gate) * up where gate_up_R2F holds gate in columns [0, F) and up in [F, 2F).
void swiglu_forward(const Context& context, const Tensor& gate_up_R2F, const Tensor& act_RF);
/// dgate_up_R2F from dact_RF (may not alias).
void swiglu_backward(const Context& context, const Tensor& gate_up_R2F, const Tensor& dact_RF,
                     const Tensor& dgate_up_R2F);
/// The same where y = weights_R * act went on and dact_RF is the gradient of y; one dtype.
/// dweights_R (fp32) = act . dact; weighted_act_RF = weights_R * act (may be act_RF itself).
void swiglu_weighted_backward(const Context& context, const Tensor& gate_up_R2F,
                              const Tensor& act_RF, const Tensor& dact_RF, const Tensor& weights_R,
                              const Tensor& dgate_up_R2F, const Tensor& weighted_act_RF,
                              const Tensor& dweights_R);

/// y_TD (fp32) += sigmoid(gate_T) * x_TD  (qwen2_moe's shared expert).
void sigmoid_gate_forward(const Context& context, const Tensor& gate_T, const Tensor& x_TD,
                          const Tensor& y_TD);
/// dx_TD = sigmoid(gate) * dy (dtype of dx); dgate_T (fp32) = dot(dy, x) * sigmoid'(gate).
void sigmoid_gate_backward(const Context& context, const Tensor& gate_T, const Tensor& x_TD,
                           const Tensor& dy_TD, const Tensor& dx_TD, const Tensor& dgate_T);

/// y (fp32) += x (fp32 or bf16); conversions between fp32 and bf16.
void add(const Context& context, const Tensor& x, const Tensor& y);
void cast(const Context& context, const Tensor& from, const Tensor& to);
void fill_zero(const Context& context, const Tensor& x);

}  // namespace moge
