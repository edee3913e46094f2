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

void pack_fp32(const PagedAttention& a, const Lanes& lanes, Shape shape, const Scratch& w) {
  for (int l = 0; l < lanes.num; ++l) {
    widen_row(a.bf16, a.q, lanes.offset(l, a.q_stride, shape.C), shape.C, shape.Cp,
              w.q_LW + l * shape.Cp);
    w.scale_L[l] = a.scale * kLog2E;
  }
}

/// A step's two words of int16 queries (paged_dot.inl: U8KeysOp).
inline void put_int16(const int32_t (&q)[4], float* words) {
#if defined(MOGE_HAS_VNNI_BF16)
  uint32_t high = 0, low = 0;
  for (int i = 0; i < 4; ++i) {
    const int32_t low_byte = static_cast<int8_t>(q[i] & 0xff), high_byte = (q[i] - low_byte) / 256;
    high |= (static_cast<uint32_t>(high_byte) & 0xffu) << (8 * i);
    low |= (static_cast<uint32_t>(low_byte) & 0xffu) << (8 * i);
  }
  const uint32_t pair[2] = {high, low};
#else
  const auto halves = [](int32_t first, int32_t second) {
    return (static_cast<uint32_t>(first) & 0xffffu) | (static_cast<uint32_t>(second) << 16);
  };
  const uint32_t pair[2] = {halves(q[0], q[2]), halves(q[1], q[3])};
#endif
  __builtin_memcpy(words, pair, sizeof pair);
}

/// |q| <= 127 * 256 + 127: high and low bytes both fit int8.
constexpr float kLargestInt16 = 32639.0f;

void pack_int16(const PagedAttention& a, const Lanes& lanes, Shape shape, const Scratch& w) {
  for (int l = 0; l < lanes.num; ++l) {
    float* row_C = w.o_LC;  // free until the first split begins
    widen_row(a.bf16, a.q, lanes.offset(l, a.q_stride, shape.C), shape.C, shape.Cp, row_C);
    const float largest = largest_magnitude(row_C, shape.Cp);
    const float inverse = largest > 0 ? kLargestInt16 / largest : 0.0f;
    uint32_t sum = 0;
    for (int c = 0; c < shape.Cp; c += 4) {
      int32_t q[4];
      for (int i = 0; i < 4; ++i) q[i] = nearest(row_C[c + i] * inverse);
      for (int i = 0; i < 4; ++i) sum += static_cast<uint32_t>(q[i]);
      put_int16(q, w.q_LW + l * shape.Cp + c / 2);
    }
    const uint32_t correction = 128 * sum;
    __builtin_memcpy(w.correction_L + l, &correction, sizeof correction);
    w.scale_L[l] = largest / kLargestInt16 * (a.scale * kLog2E);
  }
}

#if defined(MOGE_HAS_VNNI_BF16)
void pack_bf16(const PagedAttention& a, const Lanes& lanes, Shape shape, const Scratch& w) {
  for (int l = 0; l < lanes.num; ++l) {
    const BFloat16* q = static_cast<const BFloat16*>(a.q) + lanes.offset(l, a.q_stride, shape.C);
    char* row = reinterpret_cast<char*>(w.q_LW + l * shape.Cp);
    __builtin_memcpy(row, q, sizeof(BFloat16) * static_cast<size_t>(shape.C));
    __builtin_memset(row + 2 * shape.C, 0, static_cast<size_t>(2 * (shape.Cp - shape.C)));
    w.scale_L[l] = a.scale * kLog2E;
  }
}
#endif

// -- softmax of one tile

/// Scores of the tile's groups, in units of log2; -infinity where the lane does not see the key.
Vec scale_and_mask(const Tile& tile, const TileAddresses& at, bool int8, float scale, int low,
                   int high, float* s_K) {
  Vec best = splat(-kInfinity);
  for (int g = tile.first; g < tile.end; ++g)
    for (int v = 0; v < kVectorsOfGroup; ++v) {
      const int key = g * kPageGroup + v * kLanes;
      Vec s = load(s_K + key) * scale;
      if (int8) s *= load(at.scales[g] + v * kLanes);
      if (low > key || high < key + kLanes) {
        const VecI index = *reinterpret_cast<const VecI*>(kIota.lane) + key;
        s = ((index >= low) & (index < high)) ? s : splat(-kInfinity);
      }
      best = max(best, s);
      store(s_K + key, s);
    }
  return best;
}

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

/// Online softmax of lane l: scores become probabilities under the new maximum.
template <bool kRound>
void softmax_row(const Tile& tile, const TileAddresses& at, const KvLayout& layout, int l, int low,
                 int high, const Scratch& w) {
  const bool int8 = layout.format == KvFormat::kInt8;
  float* s_K = w.s_LK + l * kPagedTile;
  const Vec best = scale_and_mask(tile, at, int8, w.scale_L[l], low, high, s_K);
  const float old_max = w.max_L[l], tile_max = max_lanes(best);
  const float new_max = old_max > tile_max ? old_max : tile_max;
  // A lane that has seen no key yet keeps -inf; subtracting 0 instead avoids inf - inf.
  const Vec base = splat(new_max == -kInfinity ? 0.0f : new_max);
  // Exactly 1 where the maximum stays: a tile that a lane does not see must not change its bits.
  const Vec factor = new_max == old_max ? splat(1.0f) : exp2_nonpositive(splat(old_max) - base);
  Vec sum = load(w.sums_LV + l * 16) * factor;
  for (int g = tile.first; g < tile.end; ++g)
    for (int v = 0; v < kVectorsOfGroup; ++v) {
      float* s = s_K + g * kPageGroup + v * kLanes;
      Vec p = exp2_nonpositive(load(s) - base);
      if (kRound) p = rounded(p);
      sum += p;
      // Keys beyond the lane's sight may have scales that were never written.
      if (int8) p = p > 0.0f ? p * load(at.scales[g] + layout.page_tokens + v * kLanes) : Vec{};
      store(s, p);
    }
  store(w.sums_LV + l * 16, sum);
  w.max_L[l] = new_max;
  w.factor_L[l] = factor[0];
}

template <bool kRound = false>
void softmax(const PagedAttention& a, const Lanes& lanes, const Tile& tile, const TileAddresses& at,
             const Scratch& w) {
  for (int l = 0; l < lanes.num; ++l) {
    const int64_t position = lanes.position(l), low = first_key(a, position) - tile.begin,
                  high = position + 1 - tile.begin;
    const auto clamp = [](int64_t x) {
      return static_cast<int>(x < 0 ? 0 : x > kPagedTile ? kPagedTile : x);
    };
    softmax_row<kRound>(tile, at, a.layout, l, clamp(low), clamp(high), w);
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
void tile_scores(const Lanes& lanes, const Tile& tile, const TileAddresses& at,
                 const TileAddresses& next, int steps, int Cp, const Scratch& w) {
  const int first = tile.first * kVectorsOfGroup, end = tile.end * kVectorsOfGroup;
  scores<Op>({.rows = {w.q_LW, Cp, lanes.num},
              .keys = at.keys + first,
              .ahead = next.keys + first,
              .step_bytes = at.key_step_bytes,
              .steps = steps,
              .correction = w.correction_L,
              .out = w.s_LK + tile.first * kPageGroup},
             end - first);
}

template <class Op>
void tile_values(const Lanes& lanes, const Tile& tile, const TileAddresses& at,
                 const TileAddresses& next, int positions_of_step, int Cp, const float* p,
                 int p_stride, const Scratch& w) {
  const int keys = tile.num_keys - tile.first * kPageGroup;
  values<Op>(
      {.rows = {p + tile.first * kPageGroup / positions_of_step * Op::kWords, p_stride, lanes.num},
       .values = at.values + tile.first,
       .ahead = next.values + tile.first,
       .step_bytes = at.value_step_bytes,
       .steps = (keys + positions_of_step - 1) / positions_of_step,
       .steps_of_group = kPageGroup / positions_of_step,
       .factor = w.factor_L,
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

/// The tile's values as fp32 [K][Cp] where they are bf16 or int8 (without their scales).
void widen_values(const KvLayout& layout, const Tile& tile, int Cp, const TileAddresses& at,
                  float* values_KC) {
  const bool pairs = layout.format == KvFormat::kBF16;
  for (int g = tile.first; g < tile.end; ++g)
    for (int i = 0; i < kPageGroup; i += pairs ? 2 : 1) {
      const char* from = at.values[g] + (pairs ? i / 2 : i) * at.value_step_bytes;
      float* to = values_KC + (g * kPageGroup + i) * Cp;
      for (int c = 0; c < Cp; c += kLanes)
        if (pairs) {
          const WidenOp::Parts parts = WidenOp::parts(from + 4 * c);
          store(to + c, parts.even);
          store(to + Cp + c, parts.odd);
        } else {
          store(to + c, S8ValuesOp::parts(from + c));
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
    pack_fp32(a, lanes, shape, w);
  }
  static void tile(const PagedAttention& a, const Lanes& lanes, const Tile& tile, Shape shape,
                   const TileAddresses& at, const TileAddresses& next, const Scratch& w) {
    tile_scores<F32Op>(lanes, tile, at, next, shape.Cp, shape.Cp, w);
    softmax(a, lanes, tile, at, w);
    tile_values<F32Op>(lanes, tile, at, next, 1, shape.Cp, w.s_LK, kPagedTile, w);
  }
};

struct Bf16FewPath : Fp32Path {
  static void tile(const PagedAttention& a, const Lanes& lanes, const Tile& tile, Shape shape,
                   const TileAddresses& at, const TileAddresses& next, const Scratch& w) {
    tile_scores<WidenOp>(lanes, tile, at, next, shape.Cp / 2, shape.Cp, w);
    softmax(a, lanes, tile, at, w);
    tile_values<WidenOp>(lanes, tile, at, next, 2, shape.Cp, w.s_LK, kPagedTile, w);
  }
};

struct Bf16ManyPath : Fp32Path {
  static void tile(const PagedAttention& a, const Lanes& lanes, const Tile& tile, Shape shape,
                   const TileAddresses& at, const TileAddresses&, const Scratch& w) {
    widen_keys(tile, shape.Cp, at, w.keys_CK);
    widen_values(a.layout, tile, shape.Cp, at, w.values_KC);
    const TileAddresses wide = widened_addresses(tile, shape.Cp, at, w);
    Fp32Path::tile(a, lanes, tile, shape, wide, wide, w);
  }
};

struct Int8FewPath {
  static void pack(const PagedAttention& a, const Lanes& lanes, Shape shape, const Scratch& w) {
    pack_int16(a, lanes, shape, w);
  }
  static void tile(const PagedAttention& a, const Lanes& lanes, const Tile& tile, Shape shape,
                   const TileAddresses& at, const TileAddresses& next, const Scratch& w) {
    tile_scores<U8KeysOp>(lanes, tile, at, next, shape.Cp / 4, shape.Cp, w);
    softmax(a, lanes, tile, at, w);
    tile_values<S8ValuesOp>(lanes, tile, at, next, 1, shape.Cp, w.s_LK, kPagedTile, w);
  }
};

struct Int8ManyPath : Int8FewPath {
  static void tile(const PagedAttention& a, const Lanes& lanes, const Tile& tile, Shape shape,
                   const TileAddresses& at, const TileAddresses&, const Scratch& w) {
    tile_scores<U8KeysOp>(lanes, tile, at, at, shape.Cp / 4, shape.Cp, w);
    softmax(a, lanes, tile, at, w);
    widen_values(a.layout, tile, shape.Cp, at, w.values_KC);
    const TileAddresses wide = widened_addresses(tile, shape.Cp, at, w);
    tile_values<F32Op>(lanes, tile, wide, wide, 1, shape.Cp, w.s_LK, kPagedTile, w);
  }
};

#if defined(MOGE_HAS_VNNI_BF16)
struct Bf16DotPath {
  static void pack(const PagedAttention& a, const Lanes& lanes, Shape shape, const Scratch& w) {
    pack_bf16(a, lanes, shape, w);
  }
  static void tile(const PagedAttention& a, const Lanes& lanes, const Tile& tile, Shape shape,
                   const TileAddresses& at, const TileAddresses& next, const Scratch& w) {
    tile_scores<DotOp>(lanes, tile, at, next, shape.Cp / 2, shape.Cp, w);
    softmax</*kRound=*/true>(a, lanes, tile, at, w);
    pack_probabilities(lanes, tile, w);
    tile_values<DotOp>(lanes, tile, at, next, 2, shape.Cp, w.p_LK2, kPagedTile / 2, w);
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

/// Keys [begin, end), which lie in one split; leaves sums in w.o_LC, w.max_L and w.sums_LV.
template <class Path>
void sum_keys(const PagedAttention& a, const Lanes& lanes, Shape shape, int64_t begin, int64_t end,
              const Scratch& w) {
  fill(w.o_LC, lanes.num * shape.Cp, 0.0f);
  fill(w.max_L, lanes.num, -kInfinity);
  fill(w.sums_LV, lanes.num * 16, 0.0f);
  TileAddresses at[2] = {};
  Tile tile = place_tile(a, lanes, begin);
  find_parts(a.layout, tile, at[0]);
  for (int now = 0; begin < end; begin += kPagedTile, now ^= 1) {
    Tile next = tile;
    at[now ^ 1] = at[now];
    if (begin + kPagedTile < end) {
      next = place_tile(a, lanes, begin + kPagedTile);
      find_parts(a.layout, next, at[now ^ 1]);
    }
    Path::tile(a, lanes, tile, shape, at[now], at[now ^ 1], w);
    tile = next;
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
      return num <= kFew ? work(Int8FewPath{}) : work(Int8ManyPath{});
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
      sum_keys<decltype(path)>(a, lanes, shape, begin, to, w);
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
    sum_keys<decltype(path)>(a, lanes, shape, from > seen ? from : seen, to < last ? to : last, w);
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
  char* values = row.block + layout.half_bytes() + row.slot * Cp;
  for (int c = 0; c < Cp; ++c) {
    const int32_t x = c < C ? nearest(static_cast<float>(k[c]) * k_scale.inverse) : 0;
    key_at(layout, row.block, row.slot, c, 4)[c % 4] = static_cast<char>(x + 128);
    values[c] = static_cast<char>(c < C ? nearest(static_cast<float>(v[c]) * v_scale.inverse) : 0);
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
