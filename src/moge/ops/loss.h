// Next-token cross-entropy, fused so that no second T x V array is ever needed.
#pragma once

#include <cstdint>

#include "moge/ops/context.h"

namespace moge {

/// For each row t of logits_TV (fp32, overwritten): loss_T[t] = -log softmax(logits)[target] *
/// mask_T[t]; the row becomes its own gradient, scale * mask_T[t] * (softmax - onehot(target)), in
/// fp32, or, if dlogits_TV (bf16) is given, is written there. targets_T i32; a target < 0 counts as
/// mask 0. z_coeff adds z_coeff * lse^2 to the row's loss and its gradient (0 = off).
/// lse_T (fp32) receives the log-sum-exp.
void cross_entropy_forward_backward(const Context& context, const Tensor& logits_TV,
                                    const Tensor& targets_T, const Tensor& mask_T, float scale,
                                    float z_coeff, const Tensor& loss_T, const Tensor& lse_T,
                                    const Tensor& dlogits_TV);

/// Loss only; logits are not changed.
void cross_entropy_forward(const Context& context, const Tensor& logits_TV, const Tensor& targets_T,
                           const Tensor& mask_T, const Tensor& loss_T, const Tensor& lse_T);

}  // namespace moge
