// The auxiliary balancing loss (paper Eq. 8). T tokens, E experts, K chosen per token.
#include "moge/ops/moe.h"

#include <algorithm>

#include "moge/ops/rows.h"

namespace moge {

double balance_loss(const Context& context, const Tensor& probs_TE, const Tensor& offsets_E1,
                    int64_t top_k, double alpha, const Tensor& dprobs_E) {
  check(probs_TE.rank == 2, "[balance_loss] probs are {}, want [T, E]", probs_TE);
  const int64_t T = probs_TE.dim(0), E = probs_TE.dim(1);
  check_dense(probs_TE, {T, E}, DType::kF32, "balance_loss", "probs");
  check_dense(offsets_E1, {E + 1}, DType::kI32, "balance_loss", "offsets");
  check_dense(dprobs_E, {E}, DType::kF32, "balance_loss", "dprobs");
  check(top_k >= 1, "[balance_loss] top_k is {}, want at least 1", top_k);
  const float* probs = probs_TE.as<float>();
  const int32_t* offsets = offsets_E1.as<int32_t>();
  const SumBlocks blocks(T);
  ArenaScope scope(context.scratch);
  double* sums = context.scratch.allocate<double>(blocks.count() * E);
  context.threads.parallel_for(blocks.count(), [&](int64_t i, int) {
    double* sum_E = sums + i * E;
    std::fill(sum_E, sum_E + E, 0.0);
    for (int64_t t = blocks.begin(i); t < blocks.end(i); ++t)
      for (int64_t e = 0; e < E; ++e) sum_E[e] += double{probs[t * E + e]};
  });
  double loss = 0;
  const double tokens = static_cast<double>(std::max<int64_t>(T, 1));
  for (int64_t e = 0; e < E; ++e) {
    double sum = 0;
    for (int64_t i = 0; i < blocks.count(); ++i) sum += sums[i * E + e];
    const double count = offsets[e + 1] - offsets[e];
    const double f = static_cast<double>(E) * count / (static_cast<double>(top_k) * tokens);
    loss += f * (sum / tokens);
    dprobs_E.as<float>()[e] = static_cast<float>(alpha * f / tokens);
  }
  return alpha * loss;
}

}  // namespace moge
