// Element types of the products: how K units are read from row-major memory, kept in packed
// operands and multiplied. A unit travels as the bits of a float, whatever it holds.
#pragma once

#include "moge/kernels/cpu/simd.inl"
#include "moge/kernels/gemm.h"

namespace {

using moge::kernels::kGemmChunk;

struct Fp32 {
  using Source = float;
  static constexpr int kUnit = 1;     // elements of a unit
  static constexpr int kFactors = 1;  // multiply-adds of a unit; floats of it in packed A
  static constexpr bool kFlushesSubnormals = false;

  static Vec along_k(const float* p) { return load(p); }
  static Vec across_k(const float* p, int64_t, bool) { return load(p); }
  static void store_a(float* to, Vec units) { store(to, units); }
  template <int>
  static Vec panel(const float* b) {
    return load(b);
  }
  static Vec multiply_add(Vec a, Vec b, Vec sum) { return fma(a, b, sum); }
};

typedef float UnitsU __attribute__((vector_size(MOGE_VECTOR_BYTES), aligned(2), may_alias));

/// Pairs of bf16 as the dpbf16 instruction has them: the odd element is added first, then the even
/// one, each in one rounding, subnormals being zero. Every format of pairs gives these bits.
struct Bf16Pairs {
  using Source = BFloat16;
  static constexpr int kUnit = 2;
  static constexpr bool kFlushesSubnormals = true;

  static Vec along_k(const BFloat16* p) { return *reinterpret_cast<const UnitsU*>(p); }
  /// Pairs of row p and the row below it, which is zero where it does not exist.
  static Vec across_k(const BFloat16* p, int64_t ld, bool has_second) {
    VecW pairs = (VecW)load(p) >> 16;
    if (has_second) pairs |= (VecW)load(p + ld);
    return (Vec)pairs;
  }
  static Vec odd(Vec pairs) { return (Vec)((VecW)pairs & 0xffff0000u); }
  static Vec even(Vec pairs) { return (Vec)((VecW)pairs << 16); }
};

/// Two fp32 multiply-adds a pair: for instruction sets without dpbf16, and for Intel's cores, which
/// start two FMAs a cycle but one dpbf16 every other cycle. A is split while packing, B on its way
/// into the registers, so that it takes two bytes an element in memory.
struct SplitBf16 : Bf16Pairs {
  static constexpr int kFactors = 2;

  static void store_a(float* to, Vec pairs) {
    store(to, odd(pairs));
    store(to + kGemmChunk, even(pairs));
  }
  template <int kFactor>
  static Vec panel(const float* b) {
#if MOGE_VECTOR_BYTES == 64
    // A masked load costs no vector operation, unlike an and.
    if constexpr (kFactor == 0) return (Vec)_mm512_maskz_loadu_epi16(0xaaaaaaaau, b);
#endif
    return kFactor == 0 ? odd(load(b)) : even(load(b));
  }
  static Vec multiply_add(Vec a, Vec b, Vec sum) { return fma(a, b, sum); }
};

#ifdef MOGE_HAS_VNNI_BF16
struct DotBf16 : Bf16Pairs {
  static constexpr int kFactors = 1;

  static void store_a(float* to, Vec pairs) { store(to, pairs); }
  template <int>
  static Vec panel(const float* b) {
    return load(b);
  }
  static Vec multiply_add(Vec a, Vec b, Vec sum) {
    return (Vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
  }
};
using Bf16 = DotBf16;
#else
using Bf16 = SplitBf16;
#endif

/// Copies n elements; the rest of `to` stays as it is.
template <class T>
inline void copy_some(const T* from, int n, T* to) {
  for (int i = 0; i < n; ++i) to[i] = from[i];
}

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

/// Subnormals are zero, for operands and results, while this lives.
struct FlushSubnormals {
  explicit FlushSubnormals(bool flush) : saved(_mm_getcsr()) {
    if (flush) _mm_setcsr(saved | 0x8040u);
  }
  ~FlushSubnormals() { _mm_setcsr(saved); }
  FlushSubnormals(const FlushSubnormals&) = delete;
  unsigned saved;
};

}  // namespace
