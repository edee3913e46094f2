// Views and options that the block's forward and backward share. Shape letters as in block.h.
#pragma once

#include <cmath>

#include "moge/model/block.h"

namespace moge {

struct Heads {
  Tensor q_THC, k_TNC, v_TNC;
};

/// Rows of q, k, v side by side, as heads.
inline Heads split_heads(const ModelConfig& c, const Tensor& qkv_TP) {
  const int64_t A = c.q_width(), Q = A + c.kv_width(), P = c.qkv_width();
  return {qkv_TP.cols(0, A).split_last(c.head_dim), qkv_TP.cols(A, Q).split_last(c.head_dim),
          qkv_TP.cols(Q, P).split_last(c.head_dim)};
}

/// The same where q and k lie apart (families that norm them).
inline Heads split_heads(const ModelConfig& c, const Tensor& qk_TQ, const Tensor& qkv_TP) {
  Heads heads = split_heads(c, qkv_TP);
  if (!qk_TQ) return heads;
  const int64_t A = c.q_width(), Q = A + c.kv_width();
  heads.q_THC = qk_TQ.cols(0, A).split_last(c.head_dim);
  heads.k_TNC = qk_TQ.cols(A, Q).split_last(c.head_dim);
  return heads;
}

/// What attention reads.
inline Heads attention_heads(const ModelConfig& c, const BlockActivations& a) {
  return split_heads(c, a.qk_TQ, a.qkv_TP);
}

/// Calls visit(is_q, x, y, z) with the q part, then the k part, of [T, P or Q] tensors, in the
/// shape that the family norms: heads of C, or the whole width.
template <class Visit>
void for_normed(const ModelConfig& c, const Tensor& x, const Tensor& y, const Tensor& z,
                Visit visit) {
  const int64_t A = c.q_width(), Q = A + c.kv_width();
  const auto part = [&](const Tensor& t, bool q) {
    const Tensor columns = q ? t.cols(0, A) : t.cols(A, Q);
    return c.qk_norm == QkNorm::kPerHead ? columns.split_last(c.head_dim) : columns;
  };
  for (bool q : {true, false}) visit(q, part(x, q), part(y, q), part(z, q));
}

inline AttentionOptions attention_options(const Layer& layer) {
  return {.scale = 1.0f / std::sqrt(static_cast<float>(layer.config.head_dim)),
          .window = layer.layer_config().window};
}

inline RouteOptions route_options(const ModelConfig& c) {
  return {.num_groups = c.moe.num_groups, .top_k = c.moe.top_k, .renormalize = c.moe.renormalize};
}

inline Groups groups_of(const Routing& r) {
  return {r.offsets_E1.as<int32_t>(), static_cast<size_t>(r.offsets_E1.dim(0))};
}

}  // namespace moge
