// Routing: softmax over all E experts, the top K/G inside each of G contiguous groups, weights.
#pragma once

#include "moge/kernels/rows.h"

namespace moge::kernels {

constexpr int kMaxExperts = 1024;  ///< rows of probabilities live on the stack
constexpr int kMaxSlots = 128;     ///< top_k

struct RouteForward {
  Rows logits;           ///< fp32 [T, E]
  const float* scale_E;  ///< may be null
  bool renormalize;
  float* probs_TE;
  int32_t* ids_TK;
  float* weights_TK;
  int64_t T;
  int E, G, K;
};
struct RouteBackward {
  const float* probs_TE;
  const int32_t* ids_TK;
  const float* scale_E;  ///< may be null
  bool renormalize;
  const float* dweights_TK;
  const float* dprobs_E;  ///< added to every token's; may be null
  float z_scale;          ///< 0: lse_T is not read
  const float* lse_T;
  MutableRows dlogits;
  float* dscale_E;  ///< written: the sum over these tokens; may be null
  int64_t T;
  int E, K;
};

struct RouteKernels {
  void (*forward)(const RouteForward&) noexcept;
  void (*backward[2])(const RouteBackward&) noexcept;  ///< [dlogits]
  /// log-sum-exp of every row.
  void (*log_sum_exp)(Rows logits, int64_t T, int E, float* lse_T) noexcept;
};

}  // namespace moge::kernels
