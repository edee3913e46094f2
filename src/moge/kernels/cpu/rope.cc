// RoPE in place (kernels/rope.h). C2 = half of the head dim.
#include "moge/kernels/rope.h"

#include "moge/kernels/cpu/simd.inl"

namespace {

template <class X>
void rotate(const moge::kernels::Rope& a) noexcept {
  for (int64_t t = 0; t < a.T; ++t) {
    const float* cos_C2 = a.cos_PC2 + a.positions_T[t] * a.C2;
    const float* sin_C2 = a.sin_PC2 + a.positions_T[t] * a.C2;
    for (int64_t h = 0; h < a.H; ++h) {
      X* low = static_cast<X*>(a.x.data) + t * a.x.stride_T + h * a.x.stride_H;
      X* high = low + a.C2;
      for_vectors(a.C2, [&](int64_t i, auto lanes) {
        const Vec c = load(cos_C2 + i, lanes), s = a.direction * load(sin_C2 + i, lanes);
        const Vec x1 = load(low + i, lanes), x2 = load(high + i, lanes);
        store(low + i, fma(x1, c, -(x2 * s)), lanes);
        store(high + i, fma(x2, c, x1 * s), lanes);
      });
    }
  }
}

}  // namespace

namespace moge::kernels::MOGE_ISA {
extern const RopeKernels kRope = {.rotate = {rotate<float>, rotate<BFloat16>}};
}
