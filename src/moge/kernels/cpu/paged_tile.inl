// What attention over a paged cache knows about its lanes, its rows and one tile of keys.
// C head dim, Cp the same rounded up to 16, L lanes, K keys of a tile.
#pragma once

#include "moge/kernels/cpu/math.inl"
#include "moge/kernels/cpu/paged_dot.inl"
#include "moge/kernels/paged_attention.h"

namespace {

using moge::kernels::kKvSplit;
using moge::kernels::kPagedLanes;
using moge::kernels::kPagedTile;
using moge::kernels::kPageGroup;
using moge::kernels::KvFormat;
using moge::kernels::KvLayout;
using moge::kernels::PagedAttention;

constexpr float kInfinity = __builtin_inff(), kLog2E = 1.44269504088896f;
constexpr int kGroupsOfTile = kPagedTile / kPageGroup;
constexpr int kVectorsOfGroup = kPageGroup / kLanes;

struct Iota {
  alignas(64) int32_t lane[kLanes];
};
constexpr Iota make_iota() {
  Iota iota{};
  for (int i = 0; i < kLanes; ++i) iota.lane[i] = i;
  return iota;
}
constexpr Iota kIota = make_iota();

/// The lanes of one block.
struct Lanes {
  int num;
  int64_t first_position, last_position;
  int64_t row[kPagedLanes];
  int head[kPagedLanes];

  int64_t position(int l) const { return first_position + row[l] - row[0]; }
  /// Element offset of lane l in an array with `stride` between rows, heads adjacent.
  int64_t offset(int l, int64_t stride, int head_dim) const {
    return row[l] * stride + head[l] * head_dim;
  }
};

inline Lanes place_lanes(const PagedAttention& a, int64_t first, int num) {
  Lanes lanes;
  lanes.num = num;
  int64_t row = first / a.group;
  int head = static_cast<int>(first % a.group);
  lanes.first_position = a.first_position + row;
  for (int l = 0; l < num; ++l) {
    lanes.row[l] = row;
    lanes.head[l] = head;
    if (++head == a.group) ++row, head = 0;
  }
  lanes.last_position = lanes.position(num - 1);
  return lanes;
}

/// First key that the lane at `position` sees.
inline int64_t first_key(const PagedAttention& a, int64_t position) {
  return a.window > 0 && position >= a.window ? position - a.window + 1 : 0;
}

/// Groups of 16 keys in one tile: [first, end) are seen by some lane.
struct Tile {
  int64_t begin;  ///< position of key 0
  int first, end;
  int num_keys;  ///< of the tile's keys from 0 on, those up to the last lane's own
  const char* block[kGroupsOfTile];
  int slot[kGroupsOfTile];  ///< of the group's first key in its page

  /// Group g, or the nearest one that has keys.
  unsigned nearest(int g) const {
    static_assert((kGroupsOfTile & (kGroupsOfTile - 1)) == 0, "the mask keeps indices inside");
    const int of = g < first ? first : g < end ? g : end - 1;
    return static_cast<unsigned>(of) & (kGroupsOfTile - 1);
  }
};

/// For lanes at positions [first, last].
inline Tile place_tile(const PagedAttention& a, int64_t first, int64_t last, int64_t begin) {
  Tile tile{.begin = begin, .block = {}, .slot = {}};
  const int64_t seen = first_key(a, first) - begin;
  const int64_t left = last + 1 - begin;
  tile.first = seen > 0 ? static_cast<int>(seen / kPageGroup) : 0;
  tile.num_keys = left < kPagedTile ? static_cast<int>(left) : kPagedTile;
  tile.end = (tile.num_keys + kPageGroup - 1) / kPageGroup;
  const int64_t position = begin + tile.first * kPageGroup;
  const int32_t* page = a.page_table + position / a.layout.page_tokens;
  int slot = static_cast<int>(position % a.layout.page_tokens);
  for (int g = tile.first; g < tile.end; ++g) {
    tile.block[g] = a.blocks + *page * a.page_bytes;
    tile.slot[g] = slot;
    slot += kPageGroup;
    if (slot == a.layout.page_tokens) slot = 0, ++page;
  }
  return tile;
}

/// Addresses of a tile's parts in the cache, or of the same tile widened to fp32.
struct TileAddresses {
  const char* keys[kPagedTile];  ///< one a vector
  const char* values[kGroupsOfTile];
  const float* scales[kGroupsOfTile];  ///< int8: of keys; those of values lie P further
  int64_t key_step_bytes, value_step_bytes;
};

inline void find_parts(const KvLayout& layout, const Tile& tile, TileAddresses& at) {
  const int words_of_values = 4 / layout.element_bytes();  // positions of a step
  at.key_step_bytes = int64_t{4} * layout.page_tokens;
  at.value_step_bytes = int64_t{layout.padded_dim()} * layout.element_bytes() * words_of_values;
  for (int g = tile.first; g < tile.end; ++g) {
    const char* values = tile.block[g] + layout.half_bytes();
    at.values[g] = values + tile.slot[g] / words_of_values * at.value_step_bytes;
    at.scales[g] = reinterpret_cast<const float*>(values + layout.half_bytes()) + tile.slot[g];
    for (int v = 0; v < kVectorsOfGroup; ++v)
      at.keys[g * kVectorsOfGroup + v] = tile.block[g] + 4 * (tile.slot[g] + v * kLanes);
  }
}

/// What is fetched while a tile is computed: its values during the scores and the softmax, the next
/// tile's keys during the softmax and the products with the values.
struct Ahead {
  Fetch values, keys;
  uint32_t value_lines = 0, key_lines = 0;  ///< 0: nothing to fetch; of keys: there is no next tile

  Fetch* next_keys() { return key_lines > 0 ? &keys : nullptr; }
};

/// Lines of a tile's keys, or of its values.
inline uint32_t lines_of_tile(const KvLayout& layout) {
  return static_cast<uint32_t>(kPagedTile * layout.padded_dim() * layout.element_bytes() / 64);
}

/// Asks, while the softmax runs, for the lines that the products leave to it, an equal part before
/// each lane: memory stays busy in proportion to the time that each step takes.
class SoftmaxFetch {
 public:
  SoftmaxFetch(Ahead& ahead, uint32_t keys_left, int lanes) : ahead_(ahead) {
    const uint32_t rows = ahead.value_lines / Fetch::kParts;
    const uint32_t asked = ahead.values.line / Fetch::kParts;
    values_ = asked < rows ? rows - asked : 0;
    keys_ = keys_left / Fetch::kParts;
    per_lane_ = (values_ + keys_ + static_cast<uint32_t>(lanes) - 1) / static_cast<uint32_t>(lanes);
  }
  void advance() {
    const uint32_t values = values_ < per_lane_ ? values_ : per_lane_;
    const uint32_t room = per_lane_ - values, keys = keys_ < room ? keys_ : room;
    ahead_.values.rows(values);
    ahead_.keys.rows(keys);
    values_ -= values;
    keys_ -= keys;
  }

 private:
  Ahead& ahead_;
  uint32_t values_, keys_, per_lane_;  // rows of kParts lines
};

inline void find_values(const Tile& tile, const TileAddresses& at, Ahead& ahead) {
  for (int g = 0; g < kGroupsOfTile; ++g) ahead.values.part[g] = at.values[tile.nearest(g)];
}

/// Of each group an equal share of its page's keys, and its scales.
inline void find_keys(const KvLayout& layout, const Tile& next, Ahead& ahead) {
  const int64_t key_bytes = int64_t{layout.padded_dim()} * layout.element_bytes();
  ahead.key_lines = lines_of_tile(layout);
  for (int g = 0; g < kGroupsOfTile; ++g) {
    const unsigned of = next.nearest(g);
    ahead.keys.part[g] = next.block[of] + next.slot[of] * key_bytes;
    if (layout.format != KvFormat::kInt8) continue;
    const char* scales = next.block[of] + 2 * layout.half_bytes() + 4 * next.slot[of];
    __builtin_prefetch(scales);
    __builtin_prefetch(scales + 4 * layout.page_tokens);
  }
}

/// Takes consecutive parts of a block of floats.
class Parts {
 public:
  explicit Parts(float* at) : at_(at) {}
  float* take(int64_t floats) { return (at_ += floats) - floats; }

 private:
  float* at_;
};

struct Scratch {
  Scratch(float* at, int Cp) : Scratch(Parts(at), Cp) {}
  Scratch(Parts parts, int Cp)
      : q_LW(parts.take(kPagedLanes * Cp)),
        s_LK(parts.take(kPagedLanes * kPagedTile)),
        p_LK2(parts.take(kPagedLanes * kPagedTile / 2)),
        o_LC(parts.take(kPagedLanes * Cp)),
        total(parts.take(kPagedLanes * (Cp + 2))),
        sums_LV(parts.take(kPagedLanes * 16)),
        max_L(parts.take(kPagedLanes)),
        factor_L(parts.take(kPagedLanes)),
        scale_L(parts.take(kPagedLanes)),
        correction_L(parts.take(kPagedLanes)),
        p_scale_L(parts.take(kPagedLanes)),
        p_correction_L(parts.take(kPagedLanes)),
        keys_CK(parts.take(Cp * kPagedTile)),
        values_KC(parts.take(kPagedTile * Cp)) {}
  float* q_LW;   ///< queries as the keys' product wants them, Cp words a lane at most
  float* s_LK;   ///< scores, then probabilities
  float* p_LK2;  ///< the same as pairs of bf16 or as int16, where values are taken so
  float* o_LC;
  float* total;
  float* sums_LV;  ///< sums of probabilities, one vector a lane
  float *max_L, *factor_L;
  float* scale_L;                     ///< of a lane's scores, to units of log2
  float* correction_L;                ///< int32 bits (paged_dot.inl)
  float *p_scale_L, *p_correction_L;  ///< the same of int16 probabilities
  float *keys_CK, *values_KC;
};

/// row_C[0..Cp) = x[0..C) in fp32, then zeros.
template <class T>
void widen_row(const T* x_C, int C, int Cp, float* row_C) {
  for_vectors(C, [&](int64_t c, auto lanes) { store(row_C + c, load(x_C + c, lanes)); });
  for (int c = (C + kLanes - 1) / kLanes * kLanes; c < Cp; c += kLanes) store(row_C + c, Vec{});
}
inline void widen_row(bool bf16, const void* x, int64_t at, int C, int Cp, float* row_C) {
  if (bf16)
    widen_row(static_cast<const BFloat16*>(x) + at, C, Cp, row_C);
  else
    widen_row(static_cast<const float*>(x) + at, C, Cp, row_C);
}

inline float max_lanes(Vec v) {
#if defined(__clang__) || MOGE_VECTOR_BYTES == 4  // Clang shuffles by constants only
  float best = v[0];
  for (int i = 1; i < kLanes; ++i) best = best > v[i] ? best : v[i];
  return best;
#else
#pragma GCC unroll 4
  for (int width = kLanes / 2; width > 0; width /= 2) {
    const VecI index = *reinterpret_cast<const VecI*>(kIota.lane) ^ width;
    v = max(v, __builtin_shuffle(v, index));
  }
  return v[0];
#endif
}

/// Sum of the lanes; exact modulo 2^32.
inline int32_t sum_lanes(VecI v) {
#if defined(__clang__) || MOGE_VECTOR_BYTES == 4
  int32_t sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += v[i];
  return sum;
#else
#pragma GCC unroll 4
  for (int width = kLanes / 2; width > 0; width /= 2) {
    const VecI index = *reinterpret_cast<const VecI*>(kIota.lane) ^ width;
    v += __builtin_shuffle(v, index);
  }
  return v[0];
#endif
}

inline float largest_magnitude(const float* x, int n) {
  Vec largest{};
  for (int i = 0; i < n; i += kLanes) {
    const Vec v = load(x + i);
    largest = max(max(v, -v), largest);
  }
  return max_lanes(largest);
}

/// Rounds to the nearest integer, ties to even; |x| < 2^22.
inline int32_t nearest(float x) {
  const float shifted = x + 12582912.0f;
  int32_t bits;
  __builtin_memcpy(&bits, &shifted, sizeof bits);
  return bits - 0x4b400000;
}

}  // namespace
