// Element types of the products: how K units are read from row-major memory, kept in packed
// operands and multiplied. A unit travels as the bits of a float, whatever it holds.
#pragma once

#include "moge/kernels/cpu/simd.inl"
#include "moge/kernels/gemm.h"

namespace {

using moge::kernels::kGemmChunk;

/// As First, in one masked instruction where the instruction set has it: products have many tails.
struct Some {
  int n;
};
#if MOGE_VECTOR_BYTES == 64
inline __mmask16 mask_of(Some lanes) { return static_cast<__mmask16>((1u << lanes.n) - 1); }
inline Vec load(const float* p, Some lanes) {
  return (Vec)_mm512_maskz_loadu_ps(mask_of(lanes), p);
}
inline Vec load(const BFloat16* p, Some lanes) {
  return widen((VecH)_mm256_maskz_loadu_epi16(mask_of(lanes), p));
}
inline void store(float* p, Vec v, Some lanes) {
  _mm512_mask_storeu_ps(p, mask_of(lanes), (__m512)v);
}
#else
inline Vec load(const float* p, Some lanes) { return load(p, First{lanes.n}); }
inline Vec load(const BFloat16* p, Some lanes) { return load(p, First{lanes.n}); }
inline void store(float* p, Vec v, Some lanes) { store(p, v, First{lanes.n}); }
#endif

struct Fp32 {
  using Source = float;
  static constexpr int kUnit = 1;     // elements of a unit
  static constexpr int kFactors = 1;  // multiply-adds of a unit; floats of it in packed A
  static constexpr bool kFlushesSubnormals = false;

  static Vec along_k(const float* p) { return load(p); }
  template <class Lanes>
  static Vec across_k(const float* p, const float*, Lanes lanes) {
    return load(p, lanes);
  }
  template <int>
  static Vec factor(Vec units) {
    return units;
  }
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
  /// Pairs of row p and the row below it, null where it does not exist.
  template <class Lanes>
  static Vec across_k(const BFloat16* p, const BFloat16* below, Lanes lanes) {
    VecW pairs = (VecW)load(p, lanes) >> 16;
    if (below) pairs |= (VecW)load(below, lanes);
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

  template <int kFactor>
  static Vec factor(Vec pairs) {
    return kFactor == 0 ? odd(pairs) : even(pairs);
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

  template <int>
  static Vec factor(Vec pairs) {
    return pairs;
  }
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

/// Where the rows of one unit begin.
template <class F>
struct UnitRows {
  const typename F::Source *first, *second;  ///< of a pair; null where K ends before it

  UnitRows() = default;
  UnitRows(const typename F::Source* x, int64_t ld, const int32_t* index, int u, int k) {
    const int row = u * F::kUnit;
    const bool pair = F::kUnit > 1 && row + 1 < k;
    first = x + (index ? index[row] : row) * ld;
    second = pair ? x + (index ? index[row + 1] : row + 1) * ld : nullptr;
  }
  /// The unit in kLanes neighbouring columns from `column`, of which `columns` exist.
  Vec units(int column, int columns) const {
    const auto* below = second ? second + column : nullptr;
    if (columns >= kLanes) return F::across_k(first + column, below, All{});
    return F::across_k(first + column, below, Some{columns});
  }
};

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
