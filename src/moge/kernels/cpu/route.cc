// Routing (kernels/route.h). E experts, G groups, K chosen per token.
#include "moge/kernels/route.h"

#include "moge/kernels/cpu/math.inl"

namespace {

using moge::kernels::kMaxExperts;
using moge::kernels::RouteBackward;
using moge::kernels::RouteForward;

float max_of(const float* z_E, int E) {
  float top = z_E[0];
  for (int e = 1; e < E; ++e) top = z_E[e] > top ? z_E[e] : top;
  return top;
}

/// p = exp(z - top); returns the sum.
float exp_row(const float* z_E, float top, int E, float* p_E) {
  Vec sum{};
  for_vectors(E, [&](int64_t i, auto lanes) {
    store(p_E + i, exp(load(z_E + i, lanes) - top), lanes);
    sum += load(p_E + i, lanes);  // absent lanes read as 0
  });
  return sum_lanes(sum);
}

/// Ties keep the earlier one; NaN is never before a number.
bool before(float a, float b) { return a > b || (b != b && a == a); }

/// The `keep` best of p[begin, end) by falling probability.
void choose(const float* p_E, int begin, int end, int keep, int32_t* ids) {
  int n = 0;
  for (int e = begin; e < end; ++e) {
    if (n == keep && !before(p_E[e], p_E[ids[n - 1]])) continue;
    int i = n < keep ? n++ : keep - 1;
    for (; i > 0 && before(p_E[e], p_E[ids[i - 1]]); --i) ids[i] = ids[i - 1];
    ids[i] = e;
  }
}

/// 1, or the sum of the chosen probabilities in slot order.
float denominator(const float* p_E, const int32_t* ids_K, int K, bool renormalize) {
  if (!renormalize) return 1.0f;
  float sum = 0;
  for (int k = 0; k < K; ++k) sum += p_E[ids_K[k]];
  return sum;
}

void forward(const RouteForward& a) noexcept {
  const int group = a.E / a.G, keep = a.K / a.G;
  for (int64_t t = 0; t < a.T; ++t) {
    const float* z_E = static_cast<const float*>(a.logits.data) + t * a.logits.stride_T;
    float* p_E = a.probs_TE + t * a.E;
    const float sum = exp_row(z_E, max_of(z_E, a.E), a.E, p_E);
    for_vectors(a.E,
                [&](int64_t i, auto lanes) { store(p_E + i, load(p_E + i, lanes) / sum, lanes); });
    int32_t* ids_K = a.ids_TK + t * a.K;
    for (int g = 0; g < a.G; ++g) choose(p_E, g * group, (g + 1) * group, keep, ids_K + g * keep);
    const float chosen = denominator(p_E, ids_K, a.K, a.renormalize);
    for (int k = 0; k < a.K; ++k) {
      const float scale = a.scale_E ? a.scale_E[ids_K[k]] : 1.0f;
      a.weights_TK[t * a.K + k] = p_E[ids_K[k]] / chosen * scale;
    }
  }
}

/// dp_E += the gradient through the chosen weights w_k = p_k / S * scale_k (S = 1 or sum of p_k).
void weights_backward(const RouteBackward& a, int64_t t, float* dp_E) {
  const float* p_E = a.probs_TE + t * a.E;
  const int32_t* ids_K = a.ids_TK + t * a.K;
  const float* dw_K = a.dweights_TK + t * a.K;
  const float sum = denominator(p_E, ids_K, a.K, a.renormalize);
  float dot = 0;
  for (int k = 0; k < a.K; ++k) {
    const int e = ids_K[k];
    const float q = p_E[e] / sum;
    if (a.dscale_E) a.dscale_E[e] += dw_K[k] * q;
    dot += dw_K[k] * (a.scale_E ? a.scale_E[e] : 1.0f) * q;
  }
  if (!a.renormalize) dot = 0;
  for (int k = 0; k < a.K; ++k)
    dp_E[ids_K[k]] += (dw_K[k] * (a.scale_E ? a.scale_E[ids_K[k]] : 1.0f) - dot) / sum;
}

template <class Dx>
void backward(const RouteBackward& a) noexcept {
  if (a.dscale_E)
    for (int e = 0; e < a.E; ++e) a.dscale_E[e] = 0;
  float dp_E[kMaxExperts];
  for (int64_t t = 0; t < a.T; ++t) {
    const float* p_E = a.probs_TE + t * a.E;
    Dx* dz_E = static_cast<Dx*>(a.dlogits.data) + t * a.dlogits.stride_T;
    for (int e = 0; e < a.E; ++e) dp_E[e] = a.dprobs_E ? a.dprobs_E[e] : 0.0f;
    weights_backward(a, t, dp_E);
    Vec sum{};
    for_vectors(a.E, [&](int64_t i, auto lanes) {
      sum = fma(load(p_E + i, lanes), load(dp_E + i, lanes), sum);
    });
    const float z = a.z_scale != 0.0f ? a.z_scale * 2.0f * a.lse_T[t] : 0.0f;
    const float shift = z - sum_lanes(sum);
    for_vectors(a.E, [&](int64_t i, auto lanes) {
      store(dz_E + i, load(p_E + i, lanes) * (load(dp_E + i, lanes) + shift), lanes);
    });
  }
}

void log_sum_exp(moge::kernels::Rows logits, int64_t T, int E, float* lse_T) noexcept {
  float p_E[kMaxExperts];
  for (int64_t t = 0; t < T; ++t) {
    const float* z_E = static_cast<const float*>(logits.data) + t * logits.stride_T;
    const float top = max_of(z_E, E);
    lse_T[t] = top + __builtin_logf(exp_row(z_E, top, E, p_E));
  }
}

}  // namespace

namespace moge::kernels::MOGE_ISA {
extern const RouteKernels kRoute = {.forward = forward,
                                    .backward = {backward<float>, backward<BFloat16>},
                                    .log_sum_exp = log_sum_exp};
}
