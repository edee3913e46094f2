// Cross-entropy, one row a call (kernels/loss.h). Sums run over chunks in fp32 and over chunks in
// fp64: a row may have 150,000 logits.
#include "moge/kernels/loss.h"

#include "moge/kernels/cpu/math.inl"

namespace {

constexpr int kChunk = 1024;

float row_max(const float* x_V, int64_t V) {
  Vec best = splat(x_V[0]);
  int64_t v = 0;
  for (; v + kLanes <= V; v += kLanes) best = max(best, load(x_V + v));
  float largest = x_V[0];
  for (int i = 0; i < kLanes; ++i) largest = best[i] > largest ? best[i] : largest;
  for (; v < V; ++v) largest = x_V[v] > largest ? x_V[v] : largest;
  return largest;
}

/// Absent lanes become 0.
inline Vec in_use(Vec x, All) { return x; }
inline Vec in_use(Vec x, First tail) {
  for (int i = tail.n; i < kLanes; ++i) x[i] = 0.0f;
  return x;
}

/// Sum of exp(x - largest) over [0, V); each term also goes to keep(v, lanes, term).
template <class Keep>
double sum_exp(const float* x_V, int64_t V, float largest, Keep keep) {
  double total = 0;
  for (int64_t begin = 0; begin < V; begin += kChunk) {
    const int64_t num = V - begin < kChunk ? V - begin : kChunk;
    Vec sum{};
    for_vectors(num, [&](int64_t i, auto lanes) {
      const Vec term = exp(load(x_V + begin + i, lanes) - largest);
      sum += in_use(term, lanes);
      keep(begin + i, lanes, term);
    });
    total += sum_lanes(sum);
  }
  return total;
}

float log_sum_exp(const float* logits_V, int64_t V) noexcept {
  const float largest = row_max(logits_V, V);
  const double sum = sum_exp(logits_V, V, largest, [](int64_t, auto, Vec) {});
  return static_cast<float>(largest + __builtin_log(sum));
}

float softmax_parts(const float* logits_V, int64_t V, float* exp_V, float* sum) noexcept {
  const float largest = row_max(logits_V, V);
  const double total = sum_exp(logits_V, V, largest, [exp_V](int64_t v, auto lanes, Vec term) {
    store(exp_V + v, term, lanes);
  });
  *sum = static_cast<float>(total);
  return static_cast<float>(largest + __builtin_log(total));
}

template <class T>
void scale(const float* x_V, int64_t V, float factor, T* y_V) noexcept {
  for_vectors(V,
              [&](int64_t v, auto lanes) { store(y_V + v, load(x_V + v, lanes) * factor, lanes); });
}

}  // namespace

namespace moge::kernels::MOGE_ISA {
extern const LossKernels kLoss = {.log_sum_exp = log_sum_exp,
                                  .softmax_parts = softmax_parts,
                                  .scale_f32 = scale<float>,
                                  .scale_bf16 = scale<BFloat16>};
}
