#include "moge/eval/divergence.h"

#include <algorithm>
#include <cmath>

namespace moge::eval {

namespace {
/// log of the sum of e^x, in fp64 so that a KL of 1e-9 is not lost in it.
double log_sum_exp(const float* x, int64_t n, float largest) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(x[i] - largest));
  return std::log(sum) + largest;
}
}  // namespace

Divergence divergence(const float* p, const float* q, int64_t n) {
  const float *top_p = std::max_element(p, p + n), *top_q = std::max_element(q, q + n);
  const double norm_p = log_sum_exp(p, n, *top_p), norm_q = log_sum_exp(q, n, *top_q);
  double kl = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double log_p = p[i] - norm_p;
    kl += std::exp(log_p) * (log_p - (q[i] - norm_q));
  }
  return {.kl = std::max(kl, 0.0), .same_top = top_p - p == top_q - q, .tokens = 1};
}

}  // namespace moge::eval
