#include "moge/eval/divergence.h"

#include <algorithm>
#include <cmath>

#include "moge/infer/sampling.h"

namespace moge::eval {

Divergence divergence(const float* p, const float* q, int64_t n) {
  const float *top_p = std::max_element(p, p + n), *top_q = std::max_element(q, q + n);
  const double norm_p = infer::log_sum_exp({p, static_cast<size_t>(n)}),
               norm_q = infer::log_sum_exp({q, static_cast<size_t>(n)});
  double kl = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double log_p = p[i] - norm_p;
    kl += std::exp(log_p) * (log_p - (q[i] - norm_q));
  }
  return {.kl = std::max(kl, 0.0), .same_top = top_p - p == top_q - q, .tokens = 1};
}

}  // namespace moge::eval
