// Causal attention, grouped queries, optional sliding window; never stores T x T.
// T tokens of all sequences flat, H query heads, N key-value heads, C head dim, S sequences.
#pragma once

#include <cstdint>
#include <span>

#include "moge/ops/context.h"

namespace moge {

struct AttentionOptions {
  float scale = 1.0f;  ///< 1 / sqrt(head_dim)
  int64_t window = 0;  ///< a query sees the last `window` positions, itself included; 0 = all
};

/// Sequence s holds rows [offsets[s], offsets[s+1]) of q, k, v. out_THC and q, k, v share a dtype
/// (fp32 or bf16); strides over T are free, heads are adjacent. lse_TH (fp32) = log-sum-exp of the
/// scaled scores, for backward.
void attention_forward(const Context& context, const Tensor& q_THC, const Tensor& k_TNC,
                       const Tensor& v_TNC, std::span<const int32_t> offsets,
                       AttentionOptions options, const Tensor& out_THC, const Tensor& lse_TH);

/// Gradients of q, k, v (written, not accumulated; same dtype as q). Recomputes the scores.
void attention_backward(const Context& context, const Tensor& q_THC, const Tensor& k_TNC,
                        const Tensor& v_TNC, const Tensor& out_THC, const Tensor& lse_TH,
                        const Tensor& dout_THC, std::span<const int32_t> offsets,
                        AttentionOptions options, const Tensor& dq_THC, const Tensor& dk_TNC,
                        const Tensor& dv_TNC);

size_t attention_scratch_bytes(const Context& context, int64_t num_tokens, int64_t heads,
                               int64_t kv_heads, int64_t head_dim);

}  // namespace moge
