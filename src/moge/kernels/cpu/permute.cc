// Permute and combine (kernels/permute.h). T tokens, K slots, G groups, R routed rows, D width.
#include "moge/kernels/permute.h"

#include "moge/kernels/cpu/simd.inl"
#include "moge/kernels/route.h"

namespace {

using moge::kernels::CombineBackward;
using moge::kernels::CombineForward;
using moge::kernels::kMaxSlots;
using moge::kernels::PermuteForward;

void permute(const PermuteForward& a) noexcept {
  const char* x = static_cast<const char*>(a.x.data);
  char* rows = static_cast<char*>(a.rows.data);
  for (int64_t r = 0; r < a.R; ++r)
    __builtin_memcpy(rows + r * a.rows.stride_T * a.element_bytes,
                     x + a.token_of_R[r] * a.x.stride_T * a.element_bytes,
                     static_cast<size_t>(a.row_bytes));
}

/// Pairwise sum of n parts: neighbours are added, an odd last one moves up.
inline Vec sum_pairwise(Vec* parts, int n) {
  for (; n > 1; n = (n + 1) / 2) {
    for (int i = 0; i < n / 2; ++i) parts[i] = parts[2 * i] + parts[2 * i + 1];
    if (n % 2) parts[n / 2] = parts[n - 1];
  }
  return parts[0];
}

template <class X>
void combine_forward(const CombineForward& a) noexcept {
  const int slots = a.K / a.G;
  const X* rows_K[kMaxSlots];
  Vec weights_K[kMaxSlots], parts_G[kMaxSlots];
  for (int64_t t = 0; t < a.T; ++t) {
    for (int k = 0; k < a.K; ++k) {
      rows_K[k] = static_cast<const X*>(a.rows.data) + a.row_of_TK[t * a.K + k] * a.rows.stride_T;
      weights_K[k] = splat(a.weights_TK ? a.weights_TK[t * a.K + k] : 1.0f);
    }
    float* y_D = static_cast<float*>(a.y.data) + t * a.y.stride_T;
    for_vectors(a.D, [&](int64_t i, auto lanes) {
      for (int g = 0, k = 0; g < a.G; ++g) {
        Vec sum = weights_K[k] * load(rows_K[k] + i, lanes);
        for (++k; k < (g + 1) * slots; ++k)
          sum = fma(weights_K[k], load(rows_K[k] + i, lanes), sum);
        parts_G[g] = sum;
      }
      const Vec total = sum_pairwise(parts_G, a.G);
      store(y_D + i, a.accumulate ? load(y_D + i, lanes) + total : total, lanes);
    });
  }
}

template <class Dy, class X, class Dx>
void combine_backward(const CombineBackward& a) noexcept {
  for (int64_t t = 0; t < a.T; ++t) {
    const Dy* dy_D = static_cast<const Dy*>(a.dy.data) + t * a.dy.stride_T;
    for (int k = 0; k < a.K; ++k) {
      const int64_t r = a.row_of_TK[t * a.K + k];
      const X* x_D = static_cast<const X*>(a.rows.data) + r * a.rows.stride_T;
      Dx* dx_D = static_cast<Dx*>(a.drows.data) + r * a.drows.stride_T;
      const float weight = a.weights_TK[t * a.K + k];
      Vec dot{};
      for_vectors(a.D, [&](int64_t i, auto lanes) {
        const Vec dy = load(dy_D + i, lanes);
        dot = fma(dy, load(x_D + i, lanes), dot);
        store(dx_D + i, weight * dy, lanes);
      });
      a.dweights_TK[t * a.K + k] = sum_lanes(dot);
    }
  }
}

using F = float;
using B = BFloat16;

}  // namespace

namespace moge::kernels::MOGE_ISA {
extern const PermuteKernels kPermute = {
    .forward = permute,
    .combine_forward = {combine_forward<F>, combine_forward<B>},
    .combine_backward = {{{combine_backward<F, F, F>, combine_backward<F, F, B>},
                          {combine_backward<F, B, F>, combine_backward<F, B, B>}},
                         {{combine_backward<B, F, F>, combine_backward<B, F, B>},
                          {combine_backward<B, B, F>, combine_backward<B, B, B>}}}};
}
