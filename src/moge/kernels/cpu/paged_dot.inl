// Small products straight from the blocks of a paged cache (kernels/paged_attention.h): a step
// broadcasts words of row a and multiplies them with a vector of words of b. Every element is one
// chain in the order of the steps, whatever the blocking below, so that few rows (decoding) and
// many (prefill) give the same bits. M rows, N vectors.
#pragma once

#include "moge/kernels/cpu/simd.inl"

namespace {

inline VecI load_words(const char* p) {
  typedef int32_t Unaligned __attribute__((vector_size(MOGE_VECTOR_BYTES), aligned(4)));
  return *reinterpret_cast<const Unaligned*>(p);
}
inline VecI splat_word(const float* a) {
  int32_t word;
  __builtin_memcpy(&word, a, sizeof word);
  return word - VecI{};
}

/// fp32 keys or values, and tiles that were widened to fp32.
struct F32Op {
  using Acc = Vec;
  using Parts = Vec;
  static constexpr int kWords = 1;                 ///< of a row in one step
  static constexpr int kVectorBytes = 4 * kLanes;  ///< that one vector of b takes
  static constexpr int kMaxN = kLanes == 16 ? 4 : 2;
  static Parts parts(const char* b) { return load(reinterpret_cast<const float*>(b)); }
  static void apply(Acc& sum, const Parts& b, const float* a) { sum = fma(splat(a[0]), b, sum); }
  static Vec result(const Acc& sum, float) { return sum; }
};

/// Words of two bf16; rows are fp32.
struct WidenOp {
  using Acc = Vec;
  struct Parts {
    Vec even, odd;
  };
  static constexpr int kWords = 2;
  static constexpr int kVectorBytes = 4 * kLanes;
  static constexpr int kMaxN = 2;
  static Parts parts(const char* b) {
    const VecI words = load_words(b);
    return {(Vec)(words << 16), (Vec)(words & static_cast<int32_t>(0xffff0000u))};
  }
  static void apply(Acc& sum, const Parts& b, const float* a) {
    sum = fma(splat(a[0]), b.even, sum);
    sum = fma(splat(a[1]), b.odd, sum);
  }
  static Vec result(const Acc& sum, float) { return sum; }
};

/// int8 values; rows are fp32 (probability times the position's scale).
struct S8ValuesOp {
  using Acc = Vec;
  using Parts = Vec;
  static constexpr int kWords = 1;
  static constexpr int kVectorBytes = kLanes;
  static constexpr int kMaxN = kLanes == 16 ? 4 : 2;
  // GCC's own conversion of vectors of int8 goes element by element.
  static Parts parts(const char* b) {
#if MOGE_VECTOR_BYTES == 64
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b));
    return __builtin_convertvector((VecI)_mm512_maskz_cvtepi8_epi32(0xffff, bytes), Vec);
#elif MOGE_VECTOR_BYTES == 32
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(b));
    return __builtin_convertvector((VecI)_mm256_cvtepi8_epi32(bytes), Vec);
#else
    return splat(static_cast<float>(static_cast<int8_t>(*b)));
#endif
  }
  static void apply(Acc& sum, const Parts& b, const float* a) { sum = fma(splat(a[0]), b, sum); }
  static Vec result(const Acc& sum, float) { return sum; }
};

/// int8 keys plus 128, four channels a word; rows are int16 in two words a step. Sums are exact
/// modulo 2^32, and what is left after the correction (128 times the row's sum) fits.
#if defined(MOGE_HAS_VNNI_BF16)
struct U8KeysOp {
  struct Acc {
    __m512i high, low;  ///< of the row's int16
  };
  using Parts = __m512i;
  static constexpr int kWords = 2;  ///< four high bytes, four low bytes
  static constexpr int kVectorBytes = 64;
  static constexpr int kMaxN = 2;
  static Parts parts(const char* b) { return (__m512i)load_words(b); }
  static void apply(Acc& sum, const Parts& b, const float* a) {
    sum.high = _mm512_dpbusd_epi32(sum.high, b, (__m512i)splat_word(a));
    sum.low = _mm512_dpbusd_epi32(sum.low, b, (__m512i)splat_word(a + 1));
  }
  static Vec result(const Acc& sum, float correction) {
    const VecW total = ((VecW)sum.high << 8) + (VecW)sum.low - (VecW)splat_word(&correction);
    return __builtin_convertvector((VecI)total, Vec);
  }
};
#else
struct U8KeysOp {
  using Acc = VecI;
  struct Parts {
    VecI even, odd;  ///< channels 0 and 2, 1 and 3, as pairs of int16
  };
  static constexpr int kWords = 2;  ///< the same pairs of the row
  static constexpr int kVectorBytes = 4 * kLanes;
  static constexpr int kMaxN = 2;
  static Parts parts(const char* b) {
    const VecI words = load_words(b);
    return {words & 0x00ff00ff, (words >> 8) & 0x00ff00ff};
  }
  static VecI multiply_pairs(VecI a, VecI b) {
#if MOGE_VECTOR_BYTES == 64
    return (VecI)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif MOGE_VECTOR_BYTES == 32
    return (VecI)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
    return (a & 0xffff) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
#endif
  }
  static void apply(Acc& sum, const Parts& b, const float* a) {
    sum = (VecI)((VecW)sum + (VecW)multiply_pairs(b.even, splat_word(a)) +
                 (VecW)multiply_pairs(b.odd, splat_word(a + 1)));
  }
  static Vec result(const Acc& sum, float correction) {
    const VecW total = (VecW)sum - (VecW)splat_word(&correction);
    return __builtin_convertvector((VecI)total, Vec);
  }
};
#endif

#if defined(MOGE_HAS_VNNI_BF16)
/// Words of two bf16 on both sides.
struct DotOp {
  using Acc = Vec;
  using Parts = VecI;
  static constexpr int kWords = 1;
  static constexpr int kVectorBytes = 64;
  static constexpr int kMaxN = 4;
  static Parts parts(const char* b) { return load_words(b); }
  static void apply(Acc& sum, const Parts& b, const float* a) {
    sum = (Vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)splat_word(a), (__m512bh)b);
  }
  static Vec result(const Acc& sum, float) { return sum; }
};
#endif

/// Rows [num_rows] of words, `stride` floats apart.
struct DotRows {
  const float* a;
  int64_t stride;
  int num_rows;
};

// -- scores: vectors of positions, each with an address of its own; steps go down the channels

struct ScoreProduct {
  DotRows rows;
  const char* const* keys;   ///< one address a vector
  const char* const* ahead;  ///< what to fetch meanwhile, one address a vector
  int64_t step_bytes;
  int steps;
  const float* correction;  ///< one a row, may be absent
  float* out;               ///< [row][kScoreStride]
};
constexpr int kScoreStride = 64;

template <class Op, int M, int N>
[[gnu::noinline]] void score_block(const ScoreProduct& p, int row, int vector) {
  const float* a = p.rows.a + row * p.rows.stride;
  const char *b[N], *ahead[N];
#pragma GCC unroll 8
  for (int n = 0; n < N; ++n) b[n] = p.keys[vector + n], ahead[n] = p.ahead[vector + n];
  typename Op::Acc sum[M][N] = {};
  for (int s = 0; s < p.steps; ++s, a += Op::kWords) {
    const int64_t at = s * p.step_bytes;
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      const typename Op::Parts parts = Op::parts(b[n] + at);
      if (row == 0) __builtin_prefetch(ahead[n] + at, 0, 2);
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m) Op::apply(sum[m][n], parts, a + m * p.rows.stride);
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n)
      store(p.out + (row + m) * kScoreStride + (vector + n) * kLanes,
            Op::result(sum[m][n], p.correction ? p.correction[row + m] : 0.0f));
}

template <class Op, int N>
void score_columns(const ScoreProduct& p, int vector) {
  int row = 0;
  for (; row + 6 <= p.rows.num_rows; row += 6) score_block<Op, 6, N>(p, row, vector);
  switch (p.rows.num_rows - row) {
    case 5:
      return score_block<Op, 5, N>(p, row, vector);
    case 4:
      return score_block<Op, 4, N>(p, row, vector);
    case 3:
      return score_block<Op, 3, N>(p, row, vector);
    case 2:
      return score_block<Op, 2, N>(p, row, vector);
    case 1:
      return score_block<Op, 1, N>(p, row, vector);
    default:
      return;
  }
}

template <class Op>
void scores(const ScoreProduct& p, int vectors) {
  int vector = 0;
  for (; vector + Op::kMaxN <= vectors; vector += Op::kMaxN)
    score_columns<Op, Op::kMaxN>(p, vector);
  for (; vector < vectors; ++vector) score_columns<Op, 1>(p, vector);
}

// -- values: vectors of adjacent channels; steps go down the positions, page after page

struct ValueProduct {
  DotRows rows;
  const char* const* values;  ///< one address a group of positions
  const char* const* ahead;
  int64_t step_bytes;
  int steps, steps_of_group;
  const float* factor;  ///< one a row
  float* out;           ///< [row][out_stride]: out = factor * out + product
  int64_t out_stride;
};

template <class Op, int M, int N>
[[gnu::noinline]] void value_block(const ValueProduct& p, int row, int vector) {
  const float* a = p.rows.a + row * p.rows.stride;
  float* out = p.out + row * p.out_stride + vector * kLanes;
  Vec sum[M][N];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n)
      sum[m][n] = load(out + m * p.out_stride + n * kLanes) * p.factor[row + m];
  for (int first = 0, group = 0; first < p.steps; first += p.steps_of_group, ++group) {
    const char* b = p.values[group] + vector * Op::kVectorBytes;
    const char* ahead = p.ahead[group] + vector * Op::kVectorBytes;
    const int steps = p.steps - first < p.steps_of_group ? p.steps - first : p.steps_of_group;
    for (int s = 0; s < steps; ++s, a += Op::kWords, b += p.step_bytes, ahead += p.step_bytes) {
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        const typename Op::Parts parts = Op::parts(b + n * Op::kVectorBytes);
        if (row == 0 && n * Op::kVectorBytes % 64 == 0)
          __builtin_prefetch(ahead + n * Op::kVectorBytes, 0, 2);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) Op::apply(sum[m][n], parts, a + m * p.rows.stride);
      }
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) store(out + m * p.out_stride + n * kLanes, sum[m][n]);
}

template <class Op, int N>
void value_columns(const ValueProduct& p, int vector) {
  int row = 0;
  for (; row + 6 <= p.rows.num_rows; row += 6) value_block<Op, 6, N>(p, row, vector);
  switch (p.rows.num_rows - row) {
    case 5:
      return value_block<Op, 5, N>(p, row, vector);
    case 4:
      return value_block<Op, 4, N>(p, row, vector);
    case 3:
      return value_block<Op, 3, N>(p, row, vector);
    case 2:
      return value_block<Op, 2, N>(p, row, vector);
    case 1:
      return value_block<Op, 1, N>(p, row, vector);
    default:
      return;
  }
}

template <class Op>
void values(const ValueProduct& p, int vectors) {
  int vector = 0;
  for (; vector + Op::kMaxN <= vectors; vector += Op::kMaxN)
    value_columns<Op, Op::kMaxN>(p, vector);
  for (; vector < vectors; ++vector) value_columns<Op, 1>(p, vector);
}

}  // namespace
