// Small products straight from the blocks of a paged cache (kernels/paged_attention.h): a step
// broadcasts words of row a and multiplies them with a vector of words of b. Every element is one
// chain in the order of the steps, whatever the blocking below, so that few rows (decoding) and
// many (prefill) give the same bits. M rows, N vectors. Rows lie so that a block of them needs one
// register for its addresses.
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

constexpr int kBlockRows = 6;     ///< of the largest block of rows
constexpr int kScoreStride = 64;  ///< floats from row to row of scores

/// fp32 keys or values, and tiles that were widened to fp32.
struct F32Op {
  using Acc = Vec;
  using Parts = Vec;
  static constexpr bool kInteger = false;  ///< sums become floats at the end, with a scale a row
  static constexpr int kWords = 1;         ///< of a row in one step
  static constexpr int kTileWords = kScoreStride;  ///< of a row of probabilities
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
  static constexpr bool kInteger = false;
  static constexpr int kWords = 2;
  static constexpr int kTileWords = kScoreStride;
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

/// int8 keys or values plus 128, four channels (of keys) or positions (of values) a word; rows are
/// int16 in two words a step. Sums are exact modulo 2^32, and what is left after the correction
/// (128 times the row's sum) fits.
#if defined(MOGE_HAS_VNNI_BF16)
struct U8Op {
  struct Acc {
    VecI high, low;  ///< of the row's int16
  };
  using Parts = VecI;
  static constexpr bool kInteger = true;
  static constexpr int kWords = 2;  ///< four high bytes, four low bytes
  static constexpr int kTileWords = kScoreStride / 2;
  static constexpr int kMaxN = 2;
  static Parts parts(const char* b) { return load_words(b); }
  /// In place: GCC 12 moves the sums of the intrinsic to other registers and to memory.
  static void add_products(VecI& sum, VecI b, const float* a) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(b), "v"(splat_word(a)));
  }
  static void apply(Acc& sum, const Parts& b, const float* a) {
    add_products(sum.high, b, a);
    add_products(sum.low, b, a + 1);
  }
  static Vec result(const Acc& sum, float correction) {
    const VecW total = ((VecW)sum.high << 8) + (VecW)sum.low - (VecW)splat_word(&correction);
    return __builtin_convertvector((VecI)total, Vec);
  }
};
#else
struct U8Op {
  using Acc = VecI;
  struct Parts {
    VecI even, odd;  ///< of a word's four: 0 and 2, 1 and 3, as pairs of int16
  };
  static constexpr bool kInteger = true;
  static constexpr int kWords = 2;  ///< the same pairs of the row
  static constexpr int kTileWords = kScoreStride / 2;
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
  static constexpr bool kInteger = false;
  static constexpr int kWords = 1;
  static constexpr int kTileWords = kScoreStride / 2;
  static constexpr int kMaxN = 4;
  static Parts parts(const char* b) { return load_words(b); }
  static void apply(Acc& sum, const Parts& b, const float* a) {
    sum = (Vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)splat_word(a), (__m512bh)b);
  }
  static Vec result(const Acc& sum, float) { return sum; }
};
#endif

/// Memory that is read soon, fetched a few lines here and a few there. Its parts side by side: a
/// core's own prefetcher runs ahead in each of them, in one at a time it would wait for memory.
struct Fetch {
  static constexpr int kParts = 4;
  const char* part[kParts];
  uint32_t line = 0;  ///< the next one: of part line % kParts its line / kParts

  /// Into the first cache: a line that stops in the second occupies one of the core's few buffers
  /// for outstanding lines twice, and beyond a number of them the core drops it.
  template <int N>
  void lines(uint32_t first) const {
#pragma GCC unroll 8
    for (uint32_t i = first; i < first + N; ++i)
      __builtin_prefetch(part[i % kParts] + 64 * (i / kParts), 0, 3);
  }
  /// A line of each part, `count` times; only full rows before.
  void rows(uint32_t count) {
    const uint32_t first = line / kParts;
    for (uint32_t i = first; i < first + count; ++i)
#pragma GCC unroll 4
      for (int k = 0; k < kParts; ++k) __builtin_prefetch(part[k] + 64 * i, 0, 3);
    line += count * kParts;
  }
};

/// Products ask for lines in three steps of four; those of integers, which take half of a tile's
/// time where others take three quarters, in every other step. The softmax asks for the rest.
constexpr bool fetches_in(bool integer, int step) {
  return integer ? step % 2 == 0 : step % 4 != 0;
}
constexpr uint32_t unfetched_lines(bool integer, uint32_t lines) {
  return integer ? lines / 2 : lines / 4;
}

// -- scores: vectors of positions, each with an address of its own; steps go down the channels

struct ScoreProduct {
  const float* a;  ///< blocks of rows (see row_words): [steps][rows of the block][words of a step]
  int num_rows;
  const char* const* keys;  ///< one address a vector
  Fetch* fetch;             ///< may be null
  int64_t step_bytes;
  int steps;
  const float* correction;  ///< one a row, may be absent
  float* out;               ///< [row][kScoreStride]
};

/// The words of a row whose row in turn holds `words`: the first, and how far a step reaches.
struct RowWords {
  int64_t first;
  int step;
};
inline RowWords row_words(int row, int num_rows, int words, int words_of_step) {
  const int begin = row / kBlockRows * kBlockRows, left = num_rows - begin;
  const int rows = left < kBlockRows ? left : kBlockRows;
  return {int64_t{begin} * words + (row - begin) * words_of_step, rows * words_of_step};
}

template <class Op, int M, int N>
[[gnu::noinline]] void score_block(const ScoreProduct& p, int row, int vector) {
  const float* a = p.a + row * p.steps * Op::kWords;
  const char* b[N];
#pragma GCC unroll 8
  for (int n = 0; n < N; ++n) b[n] = p.keys[vector + n];
  Fetch* fetch = row == 0 ? p.fetch : nullptr;
  uint32_t line = fetch ? fetch->line : 0;
  typename Op::Acc sum[M][N] = {};
  int64_t at = 0;
  for (int s = 0; s < p.steps; ++s, a += M * Op::kWords, at += p.step_bytes) {
    if (fetch && fetches_in(Op::kInteger, s)) fetch->lines<N>(line), line += N;
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      const typename Op::Parts parts = Op::parts(b[n] + at);
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m) Op::apply(sum[m][n], parts, a + m * Op::kWords);
    }
  }
  if (fetch) fetch->line = line;
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
  for (; row + kBlockRows <= p.num_rows; row += kBlockRows)
    score_block<Op, kBlockRows, N>(p, row, vector);
  switch (p.num_rows - row) {
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
  const float* a;  ///< [row][Op::kTileWords]
  int num_rows;
  const char* const* values;  ///< one address a group of positions
  Fetch* fetch;               ///< may be null
  int64_t step_bytes;
  int steps, steps_of_group;
  const float* factor;      ///< one a row
  const float* scale;       ///< of integer sums, one a row
  const float* correction;  ///< the same
  float* out;               ///< [row][out_stride]: out = factor * out + product
  int64_t out_stride;
};

template <class Op, int M, int N>
[[gnu::noinline]] void value_block(const ValueProduct& p, int row, int vector) {
  const float* a = p.a + row * Op::kTileWords;
  float* out = p.out + row * p.out_stride + vector * kLanes;
  Fetch* fetch = row == 0 ? p.fetch : nullptr;
  uint32_t line = fetch ? fetch->line : 0;
  typename Op::Acc sum[M][N] = {};
  if constexpr (!Op::kInteger) {
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n)
        sum[m][n] = load(out + m * p.out_stride + n * kLanes) * p.factor[row + m];
  }
  const int64_t group_bytes = p.steps_of_group * p.step_bytes;
  for (int left = p.steps, group = 0; left > 0; ++group) {
    const char* b = p.values[group] + vector * 4 * kLanes;
    int steps = p.steps_of_group;
    // Groups of one page lie side by side.
    for (; steps < left && p.values[group + 1] == p.values[group] + group_bytes; ++group)
      steps += p.steps_of_group;
    steps = steps < left ? steps : left;
    left -= steps;
    for (int s = 0; s < steps; ++s, a += Op::kWords, b += p.step_bytes) {
      if (fetch && fetches_in(Op::kInteger, s)) fetch->lines<N>(line), line += N;
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        const typename Op::Parts parts = Op::parts(b + n * 4 * kLanes);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) Op::apply(sum[m][n], parts, a + m * Op::kTileWords);
      }
    }
  }
  if (fetch) fetch->line = line;
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      float* to = out + m * p.out_stride + n * kLanes;
      if constexpr (Op::kInteger)
        store(to, fma(Op::result(sum[m][n], p.correction[row + m]), splat(p.scale[row + m]),
                      load(to) * p.factor[row + m]));
      else
        store(to, sum[m][n]);
    }
}

template <class Op, int N>
void value_columns(const ValueProduct& p, int vector) {
  int row = 0;
  for (; row + kBlockRows <= p.num_rows; row += kBlockRows)
    value_block<Op, kBlockRows, N>(p, row, vector);
  switch (p.num_rows - row) {
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
