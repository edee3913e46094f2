// Attention over the paged cache (kernels/paged_attention.h): online softmax over tiles of keys
// (Dao 2023), sums of fixed splits joined in order, one division at the end. Vectors run over
// positions in scores and over channels in values, for one query as for a whole prompt.
#include "moge/kernels/paged_attention.h"

#include "moge/kernels/cpu/paged_tile.inl"

namespace {

using moge::kernels::KvRow;

// -- queries, as the product with the keys wants them

struct Shape {
  int C, Cp;
};

/// row_W [Cp / k words] -> the words of lane l, `words_of_step` of them a step.
inline void place_words(const float* row_W, int words, int words_of_step, const Lanes& lanes, int l,
                        float* q_LW) {
  const RowWords to = row_words(l, lanes.num, words, words_of_step);
  float* at = q_LW + to.first;
  for (int w = 0; w < words; w += words_of_step, at += to.step)
    for (int i = 0; i < words_of_step; ++i) at[i] = row_W[w + i];
}

/// `words_of_step`: as the product takes them, 1 or 2.
void pack_fp32(const PagedAttention& a, const Lanes& lanes, Shape shape, int words_of_step,
               const Scratch& w) {
  float* row_C = w.o_LC;  // free until the first split begins
  for (int l = 0; l < lanes.num; ++l) {
    widen_row(a.bf16, a.q, lanes.offset(l, a.q_stride, shape.C), shape.C, shape.Cp, row_C);
    place_words(row_C, shape.Cp, words_of_step, lanes, l, w.q_LW);
    w.scale_L[l] = a.scale * kLog2E;
  }
}

/// |q| <= 127 * 256 + 127: high and low bytes both fit int8.
constexpr float kLargestInt16 = 32639.0f;

/// x -> int16 in units of 1 / inverse, kept as int32.
inline VecI to_int16(float* x, float inverse) {
  const VecI q = (VecI)(load(x) * inverse + 12582912.0f) - 0x4b400000;
  store(x, (Vec)q);
  return q;
}

/// 16 int16 (as int32) -> four steps of two words (paged_dot.inl: U8Op).
inline void put_words(const float* q, float* words) {
#if defined(MOGE_HAS_VNNI_BF16)
  const auto bytes = [](VecI x) { return _mm512_maskz_cvtepi32_epi8(0xffff, (__m512i)x); };
  const VecI all = (VecI)load(q), low_byte = (all << 24) >> 24;
  const __m128i low = bytes(all), high = bytes((all - low_byte) >> 8);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(words), _mm_unpacklo_epi32(high, low));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(words + 4), _mm_unpackhi_epi32(high, low));
#else
  for (int i = 0; i < 4; ++i) {
    uint64_t first, second;  // two int32 each
    __builtin_memcpy(&first, q + 4 * i, sizeof first);
    __builtin_memcpy(&second, q + 4 * i + 2, sizeof second);
    constexpr uint64_t kLow = 0x0000ffff0000ffff;
    first = (first & kLow) | (second & kLow) << 16;
    __builtin_memcpy(words + 2 * i, &first, sizeof first);
  }
#endif
}

void pack_int16(const PagedAttention& a, const Lanes& lanes, Shape shape, const Scratch& w) {
  float *row_C = w.o_LC, *words = w.o_LC + shape.Cp;  // free until the first split begins
  for (int l = 0; l < lanes.num; ++l) {
    widen_row(a.bf16, a.q, lanes.offset(l, a.q_stride, shape.C), shape.C, shape.Cp, row_C);
    const float largest = largest_magnitude(row_C, shape.Cp);
    const float inverse = largest > 0 ? kLargestInt16 / largest : 0.0f;
    VecI sums{};
    for (int c = 0; c < shape.Cp; c += kLanes) sums += to_int16(row_C + c, inverse);
    for (int c = 0; c < shape.Cp; c += 16) put_words(row_C + c, words + c / 2);
    place_words(words, shape.Cp / 2, U8Op::kWords, lanes, l, w.q_LW);
    const uint32_t correction = 128 * static_cast<uint32_t>(sum_lanes(sums));
    __builtin_memcpy(w.correction_L + l, &correction, sizeof correction);
    w.scale_L[l] = largest / kLargestInt16 * (a.scale * kLog2E);
  }
}

#if defined(MOGE_HAS_VNNI_BF16)
void pack_bf16(const PagedAttention& a, const Lanes& lanes, Shape shape, const Scratch& w) {
  float* row_W = w.o_LC;  // free until the first split begins
  for (int l = 0; l < lanes.num; ++l) {
    const BFloat16* q = static_cast<const BFloat16*>(a.q) + lanes.offset(l, a.q_stride, shape.C);
    char* row = reinterpret_cast<char*>(row_W);
    __builtin_memcpy(row, q, sizeof(BFloat16) * static_cast<size_t>(shape.C));
    __builtin_memset(row + 2 * shape.C, 0, static_cast<size_t>(2 * (shape.Cp - shape.C)));
    place_words(row_W, shape.Cp / 2, DotOp::kWords, lanes, l, w.q_LW);
    w.scale_L[l] = a.scale * kLog2E;
  }
}
#endif

// -- softmax of one tile

/// Probabilities whose last 16 bits are 0, where values are multiplied as pairs of bf16.
inline Vec rounded(Vec p) {
#if defined(MOGE_HAS_VNNI_BF16)
  const __m256bh bits = _mm512_cvtneps_pbh((__m512)p);
  VecH half;
  __builtin_memcpy(&half, &bits, sizeof half);
  return widen(half);
#else
  return p;
#endif
}

constexpr int kTileVectors = kPagedTile / kLanes;

/// A tile's scales of an int8 cache.
struct TileScales {
  const TileAddresses& at;
  int page_tokens;

  Vec keys(int v) const {
    return load(at.scales[v / kVectorsOfGroup] + v % kVectorsOfGroup * kLanes);
  }
  Vec values(int v) const {
    return load(at.scales[v / kVectorsOfGroup] + page_tokens + v % kVectorsOfGroup * kLanes);
  }
};

/// Keys [low, high) of the tile, of vectors [first, end).
struct Sight {
  int low, high, first, end;
};

/// -infinity where the lane does not see the key.
inline Vec masked(Vec score, int v, Sight see) {
  const int key = v * kLanes;
  if (see.low <= key && see.high >= key + kLanes) return score;
  const VecI index = *reinterpret_cast<const VecI*>(kIota.lane) + key;
  return ((index >= see.low) & (index < see.high)) ? score : splat(-kInfinity);
}

/// x_V = a tile's probabilities times the scales of an int8 cache's values, as int16: each is a
/// multiple of 1 / 32639 of the largest, 256 times finer than an int8 value (numerics.md).
inline void pack_shares(Vec* x_V, Vec best, Sight see, int l, const Scratch& w) {
  const float largest = max_lanes(best);
  // What is smaller adds nothing; its inverse would not be finite.
  const float inverse = largest > 0x1p-110f ? kLargestInt16 / largest : 0.0f;
  VecI sums{};
  float* s_K = w.s_LK + l * kPagedTile;
  for (int v = see.first; v < see.end; ++v) {
    store(s_K + v * kLanes, x_V[v]);
    sums += to_int16(s_K + v * kLanes, inverse);
  }
  for (int k = see.first * kLanes; k < see.end * kLanes; k += kPageGroup)
    put_words(s_K + k, w.p_LK2 + (l * kPagedTile + k) / 2);
  const int32_t correction = 128 * sum_lanes(sums);
  __builtin_memcpy(w.p_correction_L + l, &correction, sizeof correction);
  w.p_scale_L[l] = largest / kLargestInt16;
}

/// What becomes of probabilities.
enum class Weights { kFp32, kBf16Values, kInt16 };

/// Online softmax of lane l: scores become probabilities under the new maximum.
template <Weights kWeights>
[[gnu::always_inline]] inline void softmax_row(const TileScales& scales, Sight see, int l,
                                               const Scratch& w) {
  constexpr bool kInt8 = kWeights == Weights::kInt16;
  float* s_K = w.s_LK + l * kPagedTile;
  Vec x_V[kTileVectors];  // scores in units of log2, then probabilities
  Vec best = splat(-kInfinity);
#pragma GCC unroll 4
  for (int v = see.first; v < see.end; ++v) {
    Vec s = load(s_K + v * kLanes) * w.scale_L[l];
    if (kInt8) s *= scales.keys(v);
    x_V[v] = masked(s, v, see);
    best = max(best, x_V[v]);
  }
  const float old_max = w.max_L[l], tile_max = max_lanes(best);
  const float new_max = old_max > tile_max ? old_max : tile_max;
  // A lane that has seen no key yet keeps -inf; subtracting 0 instead avoids inf - inf.
  const Vec base = splat(new_max == -kInfinity ? 0.0f : new_max);
  // Exactly 1 where the maximum stays: a tile that a lane does not see must not change its bits.
  const Vec factor = new_max == old_max ? splat(1.0f) : exp2_nonpositive(splat(old_max) - base);
  Vec sum = load(w.sums_LV + l * 16) * factor;
  best = Vec{};
#pragma GCC unroll 4
  for (int v = see.first; v < see.end; ++v) {
    Vec p = exp2_nonpositive(x_V[v] - base);
    if (kWeights == Weights::kBf16Values) p = rounded(p);
    sum += p;
    // Keys beyond the lane's sight may have scales that were never written.
    if (kInt8) p = p > 0.0f ? p * scales.values(v) : Vec{};
    best = max(best, p);
    x_V[v] = p;
    if (!kInt8) store(s_K + v * kLanes, p);
  }
  store(w.sums_LV + l * 16, sum);
  w.max_L[l] = new_max;
  w.factor_L[l] = factor[0];
  if (kInt8) pack_shares(x_V, best, see, l, w);
}

template <Weights kWeights>
void softmax(const PagedAttention& a, const Lanes& lanes, const Tile& tile, const TileAddresses& at,
             Ahead& ahead, const Scratch& w) {
  const TileScales scales{at, a.layout.page_tokens};
  const uint32_t keys_left = unfetched_lines(kWeights == Weights::kInt16, ahead.key_lines);
  SoftmaxFetch fetch(ahead, keys_left, lanes.num);
  for (int l = 0; l < lanes.num; ++l) {
    fetch.advance();
    const int64_t position = lanes.position(l), low = first_key(a, position) - tile.begin,
                  high = position + 1 - tile.begin;
    const auto clamp = [](int64_t x) {
      return static_cast<int>(x < 0 ? 0 : x > kPagedTile ? kPagedTile : x);
    };
    if (low <= 0 && high >= kPagedTile)
      softmax_row<kWeights>(scales, {0, kPagedTile, 0, kTileVectors}, l, w);
    else
      softmax_row<kWeights>(
          scales,
          {clamp(low), clamp(high), tile.first * kVectorsOfGroup, tile.end * kVectorsOfGroup}, l,
          w);
  }
}

#if defined(MOGE_HAS_VNNI_BF16)
/// Rounded probabilities as pairs of bf16.
void pack_probabilities(const Lanes& lanes, const Tile& tile, const Scratch& w) {
  for (int l = 0; l < lanes.num; ++l)
    for (int k = tile.first * kPageGroup; k < tile.end * kPageGroup; k += kLanes) {
      const __m256bh pairs = _mm512_cvtneps_pbh((__m512)load(w.s_LK + l * kPagedTile + k));
      __builtin_memcpy(reinterpret_cast<char*>(w.p_LK2 + l * kPagedTile / 2) + 2 * k, &pairs, 32);
    }
}
#endif

// -- one tile

template <class Op>
void tile_scores(const Lanes& lanes, const Tile& tile, const TileAddresses& at, Fetch* fetch,
                 int steps, const Scratch& w) {
  const int first = tile.first * kVectorsOfGroup, end = tile.end * kVectorsOfGroup;
  scores<Op>({.a = w.q_LW,
              .num_rows = lanes.num,
              .keys = at.keys + first,
              .fetch = fetch,
              .step_bytes = at.key_step_bytes,
              .steps = steps,
              .correction = w.correction_L,
              .out = w.s_LK + tile.first * kPageGroup},
             end - first);
}

template <class Op>
void tile_values(const Lanes& lanes, const Tile& tile, const TileAddresses& at, Fetch* fetch,
                 int positions_of_step, int Cp, const float* p, const Scratch& w) {
  const int keys = tile.num_keys - tile.first * kPageGroup;
  values<Op>({.a = p + tile.first * kPageGroup / positions_of_step * Op::kWords,
              .num_rows = lanes.num,
              .values = at.values + tile.first,
              .fetch = fetch,
              .step_bytes = at.value_step_bytes,
              .steps = (keys + positions_of_step - 1) / positions_of_step,
              .steps_of_group = kPageGroup / positions_of_step,
              .factor = w.factor_L,
              .scale = w.p_scale_L,
              .correction = w.p_correction_L,
              .out = w.o_LC,
              .out_stride = Cp},
             Cp / kLanes);
}

/// The tile's keys as fp32 [Cp][K] where they are bf16.
void widen_keys(const Tile& tile, int Cp, const TileAddresses& at, float* keys_CK) {
  for (int v = tile.first * kVectorsOfGroup; v < tile.end * kVectorsOfGroup; ++v)
    for (int s = 0; s < Cp / 2; ++s) {
      const WidenOp::Parts parts = WidenOp::parts(at.keys[v] + s * at.key_step_bytes);
      store(keys_CK + (2 * s) * kPagedTile + v * kLanes, parts.even);
      store(keys_CK + (2 * s + 1) * kPagedTile + v * kLanes, parts.odd);
    }
}

/// The tile's values as fp32 [K][Cp] where they are bf16.
void widen_values(const Tile& tile, int Cp, const TileAddresses& at, float* values_KC) {
  for (int g = tile.first; g < tile.end; ++g)
    for (int i = 0; i < kPageGroup; i += 2) {
      const char* from = at.values[g] + i / 2 * at.value_step_bytes;
      float* to = values_KC + (g * kPageGroup + i) * Cp;
      for (int c = 0; c < Cp; c += kLanes) {
        const WidenOp::Parts parts = WidenOp::parts(from + 4 * c);
        store(to + c, parts.even);
        store(to + Cp + c, parts.odd);
      }
    }
}

/// Addresses of the widened tile.
TileAddresses widened_addresses(const Tile& tile, int Cp, const TileAddresses& from,
                                const Scratch& w) {
  TileAddresses at = from;
  at.key_step_bytes = 4 * kPagedTile;
  at.value_step_bytes = 4 * Cp;
  for (int v = tile.first * kVectorsOfGroup; v < tile.end * kVectorsOfGroup; ++v)
    at.keys[v] = reinterpret_cast<const char*>(w.keys_CK + v * kLanes);
  for (int g = tile.first; g < tile.end; ++g)
    at.values[g] = reinterpret_cast<const char*>(w.values_KC + g * kPageGroup * Cp);
  return at;
}

/// How a block of lanes meets a tile: which products, and whether tiles are widened first. Widening
/// pays where many rows share it; the bits are the same.
struct Fp32Path {
  static void pack(const PagedAttention& a, const Lanes& lanes, Shape shape, const Scratch& w) {
    pack_fp32(a, lanes, shape, F32Op::kWords, w);
  }
  static void tile(const PagedAttention& a, const Lanes& lanes, const Tile& tile, Shape shape,
                   const TileAddresses& at, Ahead& ahead, const Scratch& w) {
    tile_scores<F32Op>(lanes, tile, at, &ahead.values, shape.Cp, w);
    softmax<Weights::kFp32>(a, lanes, tile, at, ahead, w);
    tile_values<F32Op>(lanes, tile, at, ahead.next_keys(), 1, shape.Cp, w.s_LK, w);
  }
};

struct Bf16FewPath {
  static void pack(const PagedAttention& a, const Lanes& lanes, Shape shape, const Scratch& w) {
    pack_fp32(a, lanes, shape, WidenOp::kWords, w);
  }
  static void tile(const PagedAttention& a, const Lanes& lanes, const Tile& tile, Shape shape,
                   const TileAddresses& at, Ahead& ahead, const Scratch& w) {
    tile_scores<WidenOp>(lanes, tile, at, &ahead.values, shape.Cp / 2, w);
    softmax<Weights::kFp32>(a, lanes, tile, at, ahead, w);
    tile_values<WidenOp>(lanes, tile, at, ahead.next_keys(), 2, shape.Cp, w.s_LK, w);
  }
};

struct Bf16ManyPath : Fp32Path {
  static void tile(const PagedAttention& a, const Lanes& lanes, const Tile& tile, Shape shape,
                   const TileAddresses& at, Ahead&, const Scratch& w) {
    widen_keys(tile, shape.Cp, at, w.keys_CK);
    widen_values(tile, shape.Cp, at, w.values_KC);
    const TileAddresses wide = widened_addresses(tile, shape.Cp, at, w);
    Ahead none;
    find_values(tile, wide, none);
    Fp32Path::tile(a, lanes, tile, shape, wide, none, w);
  }
};

struct Int8Path {
  static void pack(const PagedAttention& a, const Lanes& lanes, Shape shape, const Scratch& w) {
    pack_int16(a, lanes, shape, w);
  }
  static void tile(const PagedAttention& a, const Lanes& lanes, const Tile& tile, Shape shape,
                   const TileAddresses& at, Ahead& ahead, const Scratch& w) {
    tile_scores<U8Op>(lanes, tile, at, &ahead.values, shape.Cp / 4, w);
    softmax<Weights::kInt16>(a, lanes, tile, at, ahead, w);
    tile_values<U8Op>(lanes, tile, at, ahead.next_keys(), 4, shape.Cp, w.p_LK2, w);
  }
};

#if defined(MOGE_HAS_VNNI_BF16)
struct Bf16DotPath {
  static void pack(const PagedAttention& a, const Lanes& lanes, Shape shape, const Scratch& w) {
    pack_bf16(a, lanes, shape, w);
  }
  static void tile(const PagedAttention& a, const Lanes& lanes, const Tile& tile, Shape shape,
                   const TileAddresses& at, Ahead& ahead, const Scratch& w) {
    tile_scores<DotOp>(lanes, tile, at, &ahead.values, shape.Cp / 2, w);
    softmax<Weights::kBf16Values>(a, lanes, tile, at, ahead, w);
    pack_probabilities(lanes, tile, w);
    tile_values<DotOp>(lanes, tile, at, ahead.next_keys(), 2, shape.Cp, w.p_LK2, w);
  }
};
#endif

// -- splits and their join

struct State {
  State(float* at, int num, int Cp)
      : o_LC(at), max_L(at + num * Cp), sum_L(max_L + (num + 15) / 16 * 16) {}
  float *o_LC, *max_L, *sum_L;
};

void fill(float* x, int64_t n, float value) {
  for (int64_t i = 0; i < n; ++i) x[i] = value;
}

/// What follows the tile at `begin`: keys up to `limit`, then those of the task that the worker
/// probably takes next.
void find_next(const PagedAttention& a, const Lanes& lanes, int64_t begin, int64_t limit,
               Ahead& ahead) {
  begin += kPagedTile;
  if (begin < limit)
    return find_keys(a.layout, place_tile(a, lanes.first_position, lanes.last_position, begin),
                     ahead);
  if (!a.next) return;
  const int64_t first = a.next->first_position;
  begin = first_key(*a.next, first) / kPagedTile * kPagedTile;
  find_keys(a.next->layout, place_tile(*a.next, first, first, begin), ahead);
}

/// Keys [begin, end), which lie in one split; leaves sums in w.o_LC, w.max_L and w.sums_LV.
/// `limit`: the end of the keys that follow in the same call.
template <class Path>
void sum_keys(const PagedAttention& a, const Lanes& lanes, Shape shape, int64_t begin, int64_t end,
              int64_t limit, const Scratch& w) {
  fill(w.o_LC, lanes.num * shape.Cp, 0.0f);
  fill(w.max_L, lanes.num, -kInfinity);
  fill(w.sums_LV, lanes.num * 16, 0.0f);
  for (; begin < end; begin += kPagedTile) {
    const Tile tile = place_tile(a, lanes.first_position, lanes.last_position, begin);
    TileAddresses at;
    Ahead ahead{.value_lines = lines_of_tile(a.layout)};
    find_parts(a.layout, tile, at);
    find_values(tile, at, ahead);
    find_next(a, lanes, begin, limit, ahead);
    Path::tile(a, lanes, tile, shape, at, ahead, w);
  }
}

void join_state(int num, int Cp, const float* o_LC, const float* max_L, const float* sum_L,
                const State& total) {
  for (int l = 0; l < num; ++l) {
    const float old_max = total.max_L[l], more = max_L[l];
    const float new_max = old_max > more ? old_max : more;
    const float base = new_max == -kInfinity ? 0.0f : new_max;
    const auto factor = [&](float m) {
      return m == new_max ? splat(1.0f) : exp2_nonpositive(splat(m) - base);
    };
    const Vec f_old = factor(old_max), f_more = factor(more);
    for (int c = 0; c < Cp; c += kLanes)
      store(total.o_LC + l * Cp + c,
            fma(load(o_LC + l * Cp + c), f_more, load(total.o_LC + l * Cp + c) * f_old));
    total.max_L[l] = new_max;
    total.sum_L[l] = fma(splat(sum_L[l]), f_more, splat(total.sum_L[l]) * f_old)[0];
  }
}

/// Sums of probabilities over a lane's vector, in w.factor_L.
const float* reduce_sums(int num, const Scratch& w) {
  for (int l = 0; l < num; ++l) w.factor_L[l] = sum_lanes(load(w.sums_LV + l * 16));
  return w.factor_L;
}

void clear_state(int num, int Cp, const State& state) {
  fill(state.o_LC, num * Cp, 0.0f);
  fill(state.max_L, num, -kInfinity);
  fill(state.sum_L, num, 0.0f);
}

template <class T>
void write_out(const PagedAttention& a, const Lanes& lanes, Shape shape, const State& total) {
  T* out = static_cast<T*>(a.out);
  for (int l = 0; l < lanes.num; ++l) {
    const Vec inverse = 1.0f / splat(total.sum_L[l]);
    T* row = out + lanes.offset(l, a.out_stride, shape.C);
    // + 0: the sign of a zero depends on the way and does not stay.
    for_vectors(shape.C, [&](int64_t c, auto tail) {
      store(row + c, load(total.o_LC + l * shape.Cp + c) * inverse + 0.0f, tail);
    });
  }
}

/// Calls work(path, lanes) with the path that fits the formats and the number of lanes.
template <class Work>
void with_path(const PagedAttention& a, int num, Work work) {
  [[maybe_unused]] constexpr int kFew = 8;
  switch (a.layout.format) {
    case KvFormat::kF32:
      return work(Fp32Path{});
    case KvFormat::kInt8:
      return work(Int8Path{});
    case KvFormat::kBF16:
      break;
  }
#if defined(MOGE_HAS_VNNI_BF16)
  if (a.dot_bf16 && a.bf16) return work(Bf16DotPath{});
#endif
  num <= kFew ? work(Bf16FewPath{}) : work(Bf16ManyPath{});
}

void forward(const PagedAttention& a, int64_t first, int num, float* scratch) noexcept {
  const Lanes lanes = place_lanes(a, first, num);
  const Shape shape{a.layout.head_dim, a.layout.padded_dim()};
  const Scratch w(scratch, shape.Cp);
  const State total(w.total, num, shape.Cp);
  clear_state(num, shape.Cp, total);
  with_path(a, num, [&](auto path) {
    path.pack(a, lanes, shape, w);
    const int64_t end = lanes.last_position + 1;
    int64_t begin = first_key(a, lanes.first_position) / kPagedTile * kPagedTile;
    while (begin < end) {
      const int64_t border = (begin / kKvSplit + 1) * kKvSplit, to = border < end ? border : end;
      sum_keys<decltype(path)>(a, lanes, shape, begin, to, end, w);
      join_state(num, shape.Cp, w.o_LC, w.max_L, reduce_sums(num, w), total);
      begin = to;
    }
  });
  a.bf16 ? write_out<BFloat16>(a, lanes, shape, total) : write_out<float>(a, lanes, shape, total);
}

void split(const PagedAttention& a, int64_t first, int num, int64_t index, float* state,
           float* scratch) noexcept {
  const Lanes lanes = place_lanes(a, first, num);
  const Shape shape{a.layout.head_dim, a.layout.padded_dim()};
  const Scratch w(scratch, shape.Cp);
  const State result(state, num, shape.Cp);
  const int64_t seen = first_key(a, lanes.first_position) / kPagedTile * kPagedTile;
  const int64_t from = index * kKvSplit, to = from + kKvSplit, last = lanes.last_position + 1;
  with_path(a, num, [&](auto path) {
    path.pack(a, lanes, shape, w);
    const int64_t end = to < last ? to : last;
    sum_keys<decltype(path)>(a, lanes, shape, from > seen ? from : seen, end, end, w);
  });
  __builtin_memcpy(result.o_LC, w.o_LC, sizeof(float) * static_cast<size_t>(num * shape.Cp));
  __builtin_memcpy(result.max_L, w.max_L, sizeof(float) * static_cast<size_t>(num));
  __builtin_memcpy(result.sum_L, reduce_sums(num, w), sizeof(float) * static_cast<size_t>(num));
}

constexpr int padded(int head_dim) { return (head_dim + 15) / 16 * 16; }

void clear(int num, int head_dim, float* total) noexcept {
  clear_state(num, padded(head_dim), State(total, num, padded(head_dim)));
}

void join(int num, int head_dim, const float* state, float* total) noexcept {
  const int Cp = padded(head_dim);
  const State more(const_cast<float*>(state), num, Cp);
  join_state(num, Cp, more.o_LC, more.max_L, more.sum_L, State(total, num, Cp));
}

void finish(const PagedAttention& a, int64_t first, int num, const float* total) noexcept {
  const Lanes lanes = place_lanes(a, first, num);
  const Shape shape{a.layout.head_dim, a.layout.padded_dim()};
  const State state(const_cast<float*>(total), num, shape.Cp);
  a.bf16 ? write_out<BFloat16>(a, lanes, shape, state) : write_out<float>(a, lanes, shape, state);
}

// -- writing

/// Channel c of the position at `slot`, among words of `per_word` channels.
inline char* key_at(const KvLayout& layout, char* block, int slot, int c, int per_word) {
  return block + 4 * (c / per_word * layout.page_tokens + slot);
}

template <class T>
void write_fp32(const KvLayout& layout, const KvRow& row, const T* k, const T* v) {
  const int C = layout.head_dim, Cp = layout.padded_dim();
  float* values = reinterpret_cast<float*>(row.block + layout.half_bytes()) + row.slot * Cp;
  for (int c = 0; c < Cp; ++c) {
    const float x = c < C ? static_cast<float>(k[c]) : 0.0f;
    __builtin_memcpy(key_at(layout, row.block, row.slot, c, 1), &x, sizeof x);
    values[c] = c < C ? static_cast<float>(v[c]) : 0.0f;
  }
}

/// An even position clears its neighbour, which may be read (with weight 0) before it is written.
template <class T>
void write_bf16(const KvLayout& layout, const KvRow& row, const T* k, const T* v) {
  const int C = layout.head_dim, Cp = layout.padded_dim();
  const auto bits = [C](const T* x, int c) -> uint32_t {
    return c < C ? BFloat16(static_cast<float>(x[c])).bits : 0;
  };
  for (int c = 0; c < Cp; c += 2) {
    const uint32_t word = bits(k, c) | bits(k, c + 1) << 16;
    __builtin_memcpy(key_at(layout, row.block, row.slot, c, 2), &word, sizeof word);
  }
  char* values = row.block + layout.half_bytes() + int64_t{4} * (row.slot / 2) * Cp;
  for (int c = 0; c < Cp; ++c) {
    const uint32_t x = bits(v, c);
    if (row.slot % 2 == 0)
      __builtin_memcpy(values + 4 * c, &x, 4);
    else
      __builtin_memcpy(values + 4 * c + 2, &x, 2);
  }
}

/// The scale of a position; its elements are nearest(x * inverse).
struct Int8Scale {
  float scale, inverse;
};
template <class T>
Int8Scale int8_scale(const T* x, int C) {
  float largest = 0.0f;
  for (int c = 0; c < C; ++c) {
    const float value = static_cast<float>(x[c]), magnitude = value < 0 ? -value : value;
    largest = largest > magnitude ? largest : magnitude;
  }
  return {largest / 127.0f, largest > 0.0f ? 127.0f / largest : 0.0f};
}

template <class T>
void write_int8(const KvLayout& layout, const KvRow& row, const T* k, const T* v) {
  const int C = layout.head_dim, Cp = layout.padded_dim();
  const Int8Scale k_scale = int8_scale(k, C), v_scale = int8_scale(v, C);
  char* values = row.block + layout.half_bytes() + row.slot / 4 * 4 * Cp + row.slot % 4;
  const auto byte = [C](const T* x, int c, float inverse) {
    return static_cast<char>(c < C ? nearest(static_cast<float>(x[c]) * inverse) + 128 : 128);
  };
  for (int c = 0; c < Cp; ++c) {
    key_at(layout, row.block, row.slot, c, 4)[c % 4] = byte(k, c, k_scale.inverse);
    values[4 * c] = byte(v, c, v_scale.inverse);
  }
  float* scales = reinterpret_cast<float*>(row.block + 2 * layout.half_bytes()) + row.slot;
  scales[0] = k_scale.scale;
  scales[layout.page_tokens] = v_scale.scale;
}

template <class T>
void write_row(const KvLayout& layout, const KvRow& row) {
  const T* k = static_cast<const T*>(row.k);
  const T* v = static_cast<const T*>(row.v);
  switch (layout.format) {
    case KvFormat::kF32:
      return write_fp32(layout, row, k, v);
    case KvFormat::kBF16:
      return write_bf16(layout, row, k, v);
    case KvFormat::kInt8:
      return write_int8(layout, row, k, v);
  }
}

void write(const KvLayout& layout, const KvRow& row) noexcept {
  row.bf16 ? write_row<BFloat16>(layout, row) : write_row<float>(layout, row);
}

}  // namespace

namespace moge::kernels::MOGE_ISA {
extern const PagedAttentionKernels kPagedAttention = {
#if defined(MOGE_HAS_VNNI_BF16)
    .dot_bf16 = true,
#else
    .dot_bf16 = false,
#endif
    .write = write,
    .forward = forward,
    .split = split,
    .clear = clear,
    .join = join,
    .finish = finish};
}  // namespace moge::kernels::MOGE_ISA
