// The specification of AdamW with decoupled decay, template on the scalar.
#pragma once

#include <cmath>
#include <cstdint>

namespace moge::ref {

template <class T>
void adamw(T* w, T* m, T* v, const T* grad, int64_t n, double lr, double beta1, double beta2,
           double eps, double weight_decay, int64_t step, double grad_scale) {
  for (int64_t i = 0; i < n; ++i) {
    const T g = grad_scale * grad[i];
    w[i] -= lr * weight_decay * w[i];
    m[i] = beta1 * m[i] + (1 - beta1) * g;
    v[i] = beta2 * v[i] + (1 - beta2) * g * g;
    const T m_hat = m[i] / (1 - std::pow(beta1, static_cast<double>(step)));
    const T v_hat = v[i] / (1 - std::pow(beta2, static_cast<double>(step)));
    w[i] -= lr * m_hat / (std::sqrt(v_hat) + eps);
  }
}

}  // namespace moge::ref
