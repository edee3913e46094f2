// The specification of cross-entropy, template on the scalar (float, double, complex<double>).
#pragma once

#include <cmath>
#include <complex>
#include <cstdint>

namespace moge::ref {

/// mask * (lse - logits[target] + z_coeff * lse^2), lse = log sum exp(logits); 0 if target < 0.
/// (No maximum is subtracted: the reference is for logits of moderate size.)
template <class T>
T cross_entropy(const T* logits_V, int64_t V, int64_t target, double mask, double z_coeff,
                T* lse_out) {
  T sum = 0;
  for (int64_t v = 0; v < V; ++v) sum += std::exp(logits_V[v]);
  const T lse = *lse_out = std::log(sum);
  return target < 0 ? T(0) : T(mask) * (lse - logits_V[target] + T(z_coeff) * lse * lse);
}

/// d loss / d logits[v] = mask * ((1 + 2 z lse) * softmax[v] - [v == target])
template <class T>
void cross_entropy_gradient(const T* logits_V, int64_t V, int64_t target, double mask,
                            double z_coeff, T* dlogits_V) {
  T lse;
  cross_entropy(logits_V, V, target, mask, z_coeff, &lse);
  const T weight = target < 0 ? T(0) : T(mask);
  for (int64_t v = 0; v < V; ++v) {
    const T p = std::exp(logits_V[v] - lse);
    dlogits_V[v] = weight * ((T(1) + T(2 * z_coeff) * lse) * p - T(v == target ? 1 : 0));
  }
}

}  // namespace moge::ref
