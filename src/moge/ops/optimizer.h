// AdamW with decoupled decay, and the gradient norm in the fixed order.
#pragma once

#include <cstdint>
#include <span>

#include "moge/ops/context.h"

namespace moge {

struct AdamWOptions {
  float lr = 1e-3f, beta1 = 0.9f, beta2 = 0.95f, eps = 1e-8f;
  float weight_decay = 0.0f;  ///< applied before the step: w -= lr * weight_decay * w
  int64_t step = 1;           ///< 1 for the first update (bias correction)
  float grad_scale = 1.0f;    ///< gradients are multiplied by it (clipping)
};

/// One tensor: w, m, v, grad are dense fp32 of one length; bf16_copy (may be absent) receives the
/// rounded weights. eps is added after the root.
void adamw_step(const Context& context, const Tensor& w, const Tensor& m, const Tensor& v,
                const Tensor& grad, AdamWOptions options, const Tensor& bf16_copy);

/// Sum of squares in fp64 over fixed blocks in a fixed order; inf and NaN pass through.
double sum_of_squares(const Context& context, const Tensor& x);
/// The sums of all tensors (one dtype), added in their order, in one go.
double sum_of_squares(const Context& context, std::span<const Tensor> tensors);
/// Scratch that the latter takes at most.
size_t sum_of_squares_scratch(int64_t num_tensors, int64_t num_elements);

}  // namespace moge
