// The unfused form of attention (kernels/eager_attention.h). C and K are multiples of 16.
#include "moge/kernels/eager_attention.h"

#include "moge/kernels/cpu/math.inl"

namespace {

using moge::kernels::EagerRows;

template <class T>
float dot(const T* a, const T* b, int64_t n) {
  Vec sums[2] = {};
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes)
    for (int j = 0; j < 2; ++j)
      sums[j] = fma(load(a + i + j * kLanes), load(b + i + j * kLanes), sums[j]);
  for (; i < n; i += kLanes) sums[0] = fma(load(a + i), load(b + i), sums[0]);
  return sum_lanes(sums[0] + sums[1]);
}

template <class T>
void scores(const EagerRows& r) noexcept {
  const T* q = static_cast<const T*>(r.q_GC);
  const T* k = static_cast<const T*>(r.k_KC);
  T* p = static_cast<T*>(r.p_GK);
  for (int64_t key = 0; key < r.K; ++key)
    for (int64_t g = 0; g < r.G; ++g)
      p[g * r.K + key] = T(r.scale * dot(q + g * r.C, k + key * r.C, r.C));
}

template <class T>
void softmax(const EagerRows& r) noexcept {
  for (int64_t g = 0; g < r.G; ++g) {
    T* p = static_cast<T*>(r.p_GK) + g * r.K;
    float largest = -__builtin_inff();
    for (int64_t i = 0; i < r.K; ++i)
      largest = largest > static_cast<float>(p[i]) ? largest : static_cast<float>(p[i]);
    Vec sums{};
    for (int64_t i = 0; i < r.K; i += kLanes) {
      const Vec e = exp(load(p + i) - largest);
      store(p + i, e);
      sums += e;
    }
    const float inverse = 1.0f / sum_lanes(sums);
    for (int64_t i = 0; i < r.K; i += kLanes) store(p + i, load(p + i) * inverse);
  }
}

template <class T>
void values(const EagerRows& r) noexcept {
  constexpr int64_t kBlock = 128;  // channels whose sums stay in registers or the first cache
  const T* v = static_cast<const T*>(r.v_KC);
  for (int64_t begin = 0; begin < r.C; begin += kBlock) {
    const int64_t end = begin + kBlock < r.C ? begin + kBlock : r.C;
    for (int64_t g = 0; g < r.G; ++g) {
      const T* p = static_cast<const T*>(r.p_GK) + g * r.K;
      alignas(64) float sums[kBlock] = {};
      for (int64_t key = 0; key < r.K; ++key)
        for (int64_t c = begin; c < end; c += kLanes)
          store(sums + c - begin, fma(splat(static_cast<float>(p[key])), load(v + key * r.C + c),
                                      load(sums + c - begin)));
      for (int64_t c = begin; c < end; c += kLanes)
        store(static_cast<T*>(r.out_GC) + g * r.C + c, load(sums + c - begin));
    }
  }
}

}  // namespace

namespace moge::kernels::MOGE_ISA {
extern const EagerAttentionKernels kEagerAttention = {
    .scores = {scores<float>, scores<BFloat16>},
    .softmax = {softmax<float>, softmax<BFloat16>},
    .values = {values<float>, values<BFloat16>}};
}
