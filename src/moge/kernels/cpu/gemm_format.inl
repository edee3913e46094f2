// Element types of the products: how K units are read from row-major memory and multiplied.
// A unit travels as the bits of a float, whatever it holds.
#pragma once

#include "moge/kernels/cpu/simd.inl"

namespace {

/// Copies n elements; the rest of `to` stays as it is.
template <class T>
inline void copy_some(const T* from, int n, T* to) {
  for (int i = 0; i < n; ++i) to[i] = from[i];
}

struct Fp32 {
  using Source = float;
  static constexpr int kUnit = 1;
  static Vec along_k(const float* p) { return load(p); }
  static Vec across_k(const float* p, int64_t, bool) { return load(p); }
  static Vec multiply_add(Vec a, Vec b, Vec sum) { return fma(a, b, sum); }
};

/// bf16 on an instruction set without bf16 products: widened while packing.
struct WidenedBf16 {
  using Source = BFloat16;
  static constexpr int kUnit = 1;
  static Vec along_k(const BFloat16* p) { return load(p); }
  static Vec across_k(const BFloat16* p, int64_t, bool) { return load(p); }
  static Vec multiply_add(Vec a, Vec b, Vec sum) { return fma(a, b, sum); }
};

#ifdef MOGE_HAS_VNNI_BF16
typedef float PairsU __attribute__((vector_size(MOGE_VECTOR_BYTES), aligned(2), may_alias));

struct Bf16Pairs {
  using Source = BFloat16;
  static constexpr int kUnit = 2;
  static Vec along_k(const BFloat16* p) { return *reinterpret_cast<const PairsU*>(p); }
  /// Pairs of row p and the row below it, which is zero where it does not exist.
  static Vec across_k(const BFloat16* p, int64_t ld, bool has_second) {
    VecW pairs = (VecW)load(p) >> 16;
    if (has_second) pairs |= (VecW)load(p + ld);
    return (Vec)pairs;
  }
  static Vec multiply_add(Vec a, Vec b, Vec sum) {
    return (Vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
  }
};
using Bf16 = Bf16Pairs;
#else
using Bf16 = WidenedBf16;
#endif

/// kLanes units along K from p, of which `elements` exist.
template <class F>
inline Vec units_along_k(const typename F::Source* p, int elements) {
  constexpr int kAll = kLanes * F::kUnit;
  if (elements >= kAll) return F::along_k(p);
  typename F::Source padded[kAll] = {};
  copy_some(p, elements, padded);
  return F::along_k(padded);
}

/// One unit of kLanes neighbouring columns, of which `columns` exist; `rows` elements of K are
/// left.
template <class F>
inline Vec units_across_k(const typename F::Source* p, int64_t ld, int columns, int rows) {
  if (columns >= kLanes) return F::across_k(p, ld, rows > 1);
  typename F::Source padded[2 * kLanes] = {};
  copy_some(p, columns, padded);
  if (F::kUnit > 1 && rows > 1) copy_some(p + ld, columns, padded + kLanes);
  return F::across_k(padded, kLanes, rows > 1);
}

template <class F>
inline int num_units(int k) {
  return (k + F::kUnit - 1) / F::kUnit;
}

}  // namespace
