// The specification of routing, template on the scalar: softmax over all experts, the top K/G of
// each contiguous group, weights; z-loss and balancing loss. T tokens, E experts, K chosen.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <numeric>
#include <vector>

namespace moge::ref {

template <class T>
void softmax(const T* z_TE, int64_t num_tokens, int64_t E, T* probs_TE) {
  for (int64_t t = 0; t < num_tokens; ++t) {
    T sum = 0, top = z_TE[t * E];
    for (int64_t e = 1; e < E; ++e)
      if (std::real(z_TE[t * E + e]) > std::real(top)) top = z_TE[t * E + e];
    for (int64_t e = 0; e < E; ++e) sum += probs_TE[t * E + e] = std::exp(z_TE[t * E + e] - top);
    for (int64_t e = 0; e < E; ++e) probs_TE[t * E + e] /= sum;
  }
}

/// In each of G groups the K/G most probable experts by falling probability, ties to the lowest
/// index. Not differentiable: gradients hold the choice fixed.
inline void choose_experts(const double* probs_TE, int64_t num_tokens, int64_t E, int64_t G,
                           int64_t K, int32_t* ids_TK) {
  std::vector<int32_t> order(static_cast<size_t>(E / G));
  for (int64_t t = 0; t < num_tokens; ++t)
    for (int64_t g = 0; g < G; ++g) {
      std::iota(order.begin(), order.end(), static_cast<int32_t>(g * (E / G)));
      std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
        return probs_TE[t * E + a] > probs_TE[t * E + b];
      });
      std::copy_n(order.begin(), K / G, ids_TK + t * K + g * (K / G));
    }
}

template <class T>
T sum_of_chosen(const T* probs_E, const int32_t* ids_K, int64_t K) {
  T sum = 0;
  for (int64_t k = 0; k < K; ++k) sum += probs_E[ids_K[k]];
  return sum;
}

/// weight = probability (/ the sum of the chosen ones) * scale
template <class T>
void route_weights(const T* probs_TE, const int32_t* ids_TK, const T* scale_E, bool renormalize,
                   int64_t num_tokens, int64_t E, int64_t K, T* weights_TK) {
  for (int64_t t = 0; t < num_tokens; ++t) {
    const T* p_E = probs_TE + t * E;
    const T sum = renormalize ? sum_of_chosen(p_E, ids_TK + t * K, K) : T(1);
    for (int64_t k = 0; k < K; ++k) {
      const int32_t e = ids_TK[t * K + k];
      weights_TK[t * K + k] = p_E[e] / sum * (scale_E ? scale_E[e] : T(1));
    }
  }
}

/// dprobs_E: addend to every token's probability gradient (null: 0). z_scale: of the z-loss.
template <class T>
void route_backward(const T* probs_TE, const int32_t* ids_TK, const T* scale_E, bool renormalize,
                    const T* dweights_TK, const T* dprobs_E, double z_scale, const T* lse_T,
                    int64_t num_tokens, int64_t E, int64_t K, T* dlogits_TE, T* dscale_E) {
  std::vector<T> dp(static_cast<size_t>(E));
  for (int64_t t = 0; t < num_tokens; ++t) {
    const T* p_E = probs_TE + t * E;
    const int32_t* ids_K = ids_TK + t * K;
    const T sum = renormalize ? sum_of_chosen(p_E, ids_K, K) : T(1);
    for (int64_t e = 0; e < E; ++e) dp[e] = dprobs_E ? dprobs_E[e] : T(0);
    T shared = 0;  // every chosen weight falls when the sum of the chosen ones grows
    for (int64_t k = 0; k < K; ++k) {
      const T scale = scale_E ? scale_E[ids_K[k]] : T(1), dw = dweights_TK[t * K + k];
      if (dscale_E) dscale_E[ids_K[k]] += dw * p_E[ids_K[k]] / sum;
      dp[ids_K[k]] += dw * scale / sum;
      if (renormalize) shared += dw * scale * p_E[ids_K[k]] / (sum * sum);
    }
    for (int64_t k = 0; k < K; ++k) dp[ids_K[k]] -= shared;
    T dot = 0;
    for (int64_t e = 0; e < E; ++e) dot += p_E[e] * dp[e];
    const T z = lse_T ? T(2 * z_scale) * lse_T[t] : T(0);
    for (int64_t e = 0; e < E; ++e) dlogits_TE[t * E + e] = p_E[e] * (dp[e] - dot + z);
  }
}

template <class T>
void log_sum_exp(const T* z_TE, int64_t num_tokens, int64_t E, T* lse_T) {
  for (int64_t t = 0; t < num_tokens; ++t) {
    T sum = 0, top = z_TE[t * E];
    for (int64_t e = 1; e < E; ++e)
      if (std::real(z_TE[t * E + e]) > std::real(top)) top = z_TE[t * E + e];
    for (int64_t e = 0; e < E; ++e) sum += std::exp(z_TE[t * E + e] - top);
    lse_T[t] = top + std::log(sum);
  }
}

/// alpha * sum_e f_e p_e with f_e = E / (K T) * count_e, p_e the mean probability (paper Eq. 8);
/// dprobs_E[e] = its derivative by any token's probability of e.
template <class T>
T balance_loss(const T* probs_TE, const int32_t* offsets_E1, int64_t num_tokens, int64_t E,
               int64_t K, double alpha, T* dprobs_E) {
  T loss = 0;
  for (int64_t e = 0; e < E; ++e) {
    T mean = 0;
    for (int64_t t = 0; t < num_tokens; ++t) mean += probs_TE[t * E + e] / T(num_tokens);
    const T f = T(E) * T(offsets_E1[e + 1] - offsets_E1[e]) / T(K * num_tokens);
    loss += T(alpha) * f * mean;
    dprobs_E[e] = T(alpha) * f / T(num_tokens);
  }
  return loss;
}

}  // namespace moge::ref
