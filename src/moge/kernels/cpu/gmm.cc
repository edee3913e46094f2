// Quantized rows times packed panels (kernels/gmm.h). A tile of rows by one vector of low and one
// of high slots keeps its integer sums in registers; sums over K are exact, so nothing depends on
// how rows are cut into tiles.
#include "moge/kernels/gmm.h"

#include <utility>  // index_sequence: a type only

#include "moge/kernels/cpu/gmm_rows.inl"
#include "moge/kernels/cpu/math.inl"

namespace {

using moge::kernels::gmm_panel_bytes;
using moge::kernels::gmm_units;
using moge::kernels::GmmBlock;
using moge::kernels::GmmKernels;
using moge::kernels::GmmStore;
using moge::kernels::kGmmGroupUnits;
using moge::kernels::kGmmHalf;
using moge::kernels::kGmmPanel;
using moge::kernels::kGmmScaleBytes4;
using moge::kernels::kGmmUnitBytes4;
using moge::kernels::kGmmUnitBytes8;

constexpr int kChunkUnits = 16;  // of packed rows
constexpr int kRowChunk = 64 * kRowFactor;
// Bytes that weights are fetched ahead: from memory into the second-level cache and on into the
// first (at 8 rows 82 % of the bandwidth, 70 % where the first-level cache is asked directly: its
// few outstanding lines cannot cover the memory's latency); and from the second-level cache.
constexpr int kMemoryAhead = 8192;
constexpr int kMemoryNear = 2048;
constexpr int kCachedAhead = 1024;

#define MOGE_INLINE inline __attribute__((always_inline))

// One multiply-add of the instruction set: 4 unsigned bytes of w with 4 values of x, by lane.
#ifdef MOGE_HAS_VNNI_BF16
struct Weights {
  VecI bytes;
  explicit MOGE_INLINE Weights(VecI w) : bytes(w) {}
};
MOGE_INLINE VecI dot(VecI sum, const Weights& w, const int8_t* x) {
  return (VecI)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)w.bytes,
                                   _mm512_set1_epi32(*reinterpret_cast<const int32_t*>(x)));
}
#elif MOGE_VECTOR_BYTES == 4
struct Weights {
  VecI bytes;
  explicit MOGE_INLINE Weights(VecI w) : bytes(w) {}
};
MOGE_INLINE VecI dot(VecI sum, const Weights& w, const int8_t* x) {
  for (int i = 0; i < 4; ++i) sum += (w.bytes >> (8 * i) & 255) * x[i];
  return sum;
}
#else
// maddubs saturates; 16-bit products of the even and of the odd bytes do not.
struct Weights {
  VecI even, odd;
  explicit MOGE_INLINE Weights(VecI w)
      : even(w & 0x00ff00ff), odd((VecI)((VecW)w >> 8) & 0x00ff00ff) {}
};
MOGE_INLINE VecI add_pairs(VecI sum, VecI w, const int8_t* x) {
  const VecI pair = splat_word(*reinterpret_cast<const int32_t*>(x));
#if MOGE_VECTOR_BYTES == 64
  return sum + (VecI)_mm512_madd_epi16((__m512i)w, (__m512i)pair);
#else
  return sum + (VecI)_mm256_madd_epi16((__m256i)w, (__m256i)pair);
#endif
}
MOGE_INLINE VecI dot(VecI sum, const Weights& w, const int8_t* x) {
  return add_pairs(add_pairs(sum, w.even, x), w.odd, x + 64);
}
#endif

/// a * b + c in one rounding on every instruction set.
MOGE_INLINE Vec fused(Vec a, Vec b, Vec c) {
#if MOGE_VECTOR_BYTES == 4
  return Vec{__builtin_fmaf(a[0], b[0], c[0])};
#else
  return fma(a, b, c);
#endif
}

/// A tile of rows and one vector of low, one of high slots of a panel.
struct Tile {
  const int8_t* rows;     // first chunk
  const int32_t* starts;  // [groups][rows][2]
  const float* scales;    // [rows]
  const uint8_t* panel;   // as stored
  uint8_t* unpacked;
  const uint8_t* prefetch;  // next panel's share; null: the own panel is fetched ahead
  int prefetch_lines;       // of that share, a chunk of K
  const uint8_t* end;       // of the block's panels
  int64_t to_next;          // from there to the panels that are read then
  const char* y;            // where the results go
  int64_t y_stride;         // bytes
  int units;
  int lane;    // first slot of the half
  float* out;  // [rows][2][kLanes]
};

template <int kRows>
using Sums = VecI[kRows][2];

template <int kRows>
MOGE_INLINE void start(const int32_t* starts, Sums<kRows>& sums) {
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
    sums[m][0] = splat_word(starts[2 * m]);
    sums[m][1] = splat_word(starts[2 * m + 1]);
  }
}

template <int kRows>
MOGE_INLINE void add_unit(const Weights& low, const Weights& high, const int8_t* x,
                          Sums<kRows>& sums) {
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
    sums[m][0] = dot(sums[m][0], low, x + m * kRowChunk);
    sums[m][1] = dot(sums[m][1], high, x + m * kRowChunk);
  }
}

/// s8, and s4 that an Unpacking tile brought into the same form.
struct Bytes {
  static constexpr int kUnitBytes = kGmmUnitBytes8;
  template <int kRows>
  static MOGE_INLINE void add(const uint8_t* w, uint8_t*, const int8_t* x, Sums<kRows>& sums) {
    add_unit<kRows>(Weights(load_words(w)), Weights(load_words(w + kGmmUnitBytes8 / 2)), x, sums);
  }
};
struct Nibbles {
  static constexpr int kUnitBytes = kGmmUnitBytes4;
  template <int kRows>
  static MOGE_INLINE void add(const uint8_t* w, uint8_t*, const int8_t* x, Sums<kRows>& sums) {
    const VecI both = load_words(w);
    add_unit<kRows>(Weights(both & 0x0f0f0f0f), Weights(both & (int32_t)0xf0f0f0f0), x, sums);
  }
};
/// The first of several tiles leaves the nibbles as bytes for the others, the high ones times 16.
struct Unpacking {
  static constexpr int kUnitBytes = kGmmUnitBytes4;
  template <int kRows>
  static MOGE_INLINE void add(const uint8_t* w, uint8_t* bytes, const int8_t* x,
                              Sums<kRows>& sums) {
    const VecI both = load_words(w);
    const VecI low = both & 0x0f0f0f0f, high = both & (int32_t)0xf0f0f0f0;
    store_words(bytes, low);
    store_words(bytes + kGmmUnitBytes4, high);
    add_unit<kRows>(Weights(low), Weights(high), x, sums);
  }
};

struct Scales {  // of a group of s4
  static constexpr int kUnitBytes = kGmmScaleBytes4;
};

/// Weights that come from memory, once: fetched far ahead, and where this block's end is near, the
/// beginning of the next one's.
template <class W>
MOGE_INLINE void prefetch_stream(const Tile& tile, const uint8_t* w) {
  const uint8_t* far = w + kMemoryAhead;
  far += far >= tile.end ? tile.to_next : 0;
  for (int i = 0; i < W::kUnitBytes; i += 64) {
    __builtin_prefetch(far + i, /*write=*/0, /*second level*/ 2);
    __builtin_prefetch(w + kMemoryNear + i);
  }
}

/// Weights and rows that come from the second-level cache: a panel is read by every tile of rows, a
/// tile by every panel.
template <class W>
MOGE_INLINE void prefetch_cached(const uint8_t* w, const int8_t* x) {
  __builtin_prefetch(w + kCachedAhead);
  if constexpr (W::kUnitBytes > 64) __builtin_prefetch(w + kCachedAhead + 64);
  __builtin_prefetch(x);
}

/// A row of results to come, which may lie in memory: stores that wait for it hold up the sums of
/// the next groups, since stores leave the core in order.
MOGE_INLINE void prefetch_result(const Tile& tile, int m) {
  const char* y = tile.y + m * tile.y_stride;
  __builtin_prefetch(y, /*write=*/1);
  __builtin_prefetch(y + 64, /*write=*/1);
}

/// Adds `units` units from unit `begin` on, `begin` being the first of a chunk.
template <class W, int kRows>
MOGE_INLINE void add_units(const Tile& tile, const uint8_t* w, int begin, int units,
                           Sums<kRows>& sums) {
  uint8_t* bytes = tile.unpacked + tile.lane * 4 + int64_t{begin} * kGmmUnitBytes8;
  const int8_t* x = tile.rows + int64_t{begin} / kChunkUnits * kRows * kRowChunk;
  const uint8_t* ahead = tile.prefetch + int64_t{begin} / kChunkUnits * tile.prefetch_lines * 64;
  for (int left = units; left > 0; left -= kChunkUnits, x += kRows * kRowChunk) {
    const int in_chunk = left < kChunkUnits ? left : kChunkUnits;
    if (!tile.prefetch) {
      for (int u = 0; u < in_chunk; ++u, w += W::kUnitBytes, bytes += kGmmUnitBytes8) {
        prefetch_stream<W>(tile, w);
        W::template add<kRows>(w, bytes, x + u * 4, sums);
      }
      continue;
    }
    for (int i = 0; i < tile.prefetch_lines; ++i, ahead += 64)
      __builtin_prefetch(ahead, /*write=*/0, /*second level*/ 2);
    const int chunk = (begin + units - left) / kChunkUnits;
    if (chunk < kRows) prefetch_result(tile, chunk);
    for (int u = 0; u < in_chunk; ++u, w += W::kUnitBytes, bytes += kGmmUnitBytes8) {
      prefetch_cached<W>(w, x + kRows * kRowChunk + u * 64);
      W::template add<kRows>(w, bytes, x + u * 4, sums);
    }
  }
}

template <int kRows>
void multiply_int8(const Tile& tile) {
  Sums<kRows> sums;
  start<kRows>(tile.starts, sums);
  add_units<Bytes, kRows>(tile, tile.panel + tile.lane * 4, 0, tile.units, sums);
  const auto* scales =
      reinterpret_cast<const float*>(tile.panel + int64_t{tile.units} * kGmmUnitBytes8) + tile.lane;
  const Vec low = load(scales), high = load(scales + kGmmHalf);
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
    const Vec scale = splat(tile.scales[m]);
    float* out = tile.out + m * 2 * kLanes;
    store(out, __builtin_convertvector(sums[m][0], Vec) * low * scale);
    store(out + kLanes, __builtin_convertvector(sums[m][1], Vec) * high * scale);
  }
}

/// The fp32 sums over groups stay in tile.out: registers belong to the integers.
template <class W, int kRows>
void multiply_int4(const Tile& tile) {
  const uint8_t* panel = tile.panel;
  const uint8_t* w = W::kUnitBytes == kGmmUnitBytes4 ? nullptr : tile.unpacked + tile.lane * 4;
  const int32_t* starts = tile.starts;
#pragma GCC unroll 16
  for (int i = 0; i < 2 * kRows; ++i) {
    store(tile.out + i * kLanes, Vec{});
    asm volatile("" ::: "memory");  // no call of memset
  }
  for (int begin = 0; begin < tile.units; begin += kGmmGroupUnits, starts += 2 * kRows) {
    const auto* scales = reinterpret_cast<const BFloat16*>(panel) + tile.lane;
    const int units = tile.units - begin < kGmmGroupUnits ? tile.units - begin : kGmmGroupUnits;
    Sums<kRows> sums;
    start<kRows>(starts, sums);
    if constexpr (W::kUnitBytes == kGmmUnitBytes4) w = panel + kGmmScaleBytes4 + tile.lane * 4;
    if (!tile.prefetch) prefetch_stream<Scales>(tile, panel);
    add_units<W, kRows>(tile, w, begin, units, sums);
    w += units * W::kUnitBytes;
    panel += kGmmScaleBytes4 + kGmmGroupUnits * kGmmUnitBytes4;
    const Vec low = load(scales), high = load(scales + kGmmHalf) * 0.0625f;
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m) {
      float* out = tile.out + m * 2 * kLanes;
      store(out, fused(__builtin_convertvector(sums[m][0], Vec), low, load(out)));
      store(out + kLanes,
            fused(__builtin_convertvector(sums[m][1], Vec), high, load(out + kLanes)));
    }
    asm volatile("" ::: "memory");  // keep the fp32 sums in memory
  }
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
    const Vec scale = splat(tile.scales[m]);
    float* out = tile.out + m * 2 * kLanes;
    store(out, load(out) * scale);
    store(out + kLanes, load(out + kLanes) * scale);
  }
}

using TileFunction = void (*)(const Tile&);

template <size_t... kIndex>
TileFunction choose_tile(bool int4, int t, int tiles, int rows, std::index_sequence<kIndex...>) {
  static constexpr TileFunction kInt8[] = {multiply_int8<int{kIndex} + 1>...};
  static constexpr TileFunction kNibbles[] = {multiply_int4<Nibbles, int{kIndex} + 1>...};
  static constexpr TileFunction kUnpacking[] = {multiply_int4<Unpacking, int{kIndex} + 1>...};
  static constexpr TileFunction kUnpacked[] = {multiply_int4<Bytes, int{kIndex} + 1>...};
  if (!int4) return kInt8[rows - 1];
  return (tiles == 1 ? kNibbles : t == 0 ? kUnpacking : kUnpacked)[rows - 1];
}

template <class Y>
MOGE_INLINE void emit_vector(const GmmBlock& block, Y* y, const float* bias, Vec v, int count) {
  const auto one = [&](auto lanes) {
    if (bias) v += load(bias, lanes);
    if (block.accumulate) v = load(y, lanes) + v;
    store(y, v, lanes);
  };
  if (count >= kLanes)
    one(All{});
  else if (count > 0)
    one(First{count});
}

/// Columns from `column` on: `low` of the low, `high` of the high half exist.
template <class Y>
void emit_rows(const GmmBlock& block, const float* sums, int first, int rows, int column, int low,
               int high) {
  Y* y = static_cast<Y*>(block.y) + first * block.y_stride + column;
  const float* bias = block.bias ? block.bias + column : nullptr;
  for (int m = 0; m < rows; ++m, sums += 2 * kLanes, y += block.y_stride) {
    emit_vector(block, y, bias, load(sums), low);
    emit_vector(block, y + block.high, bias ? bias + block.high : nullptr, load(sums + kLanes),
                high);
  }
}

void emit_swiglu(const GmmBlock& block, const float* sums, int first, int rows, int column,
                 int low) {
  float* y = static_cast<float*>(block.y) + first * block.y_stride + column;
  for (int m = 0; m < rows; ++m, sums += 2 * kLanes, y += block.y_stride) {
    const Vec gate = load(sums), up = load(sums + kLanes);
    const Vec act = gate * sigmoid(gate) * up;
    if (low >= kLanes)
      store(y, act);
    else
      store(y, act, First{low});
  }
}

int clamp(int x, int most) { return x < 0 ? 0 : x > most ? most : x; }

void emit(const GmmBlock& block, const float* sums, int first, int rows, int panel, int lane) {
  const int column = panel * (block.paired ? kGmmHalf : kGmmPanel);
  const int low = clamp(block.columns - column - lane, kLanes);
  const int high = block.paired ? low : clamp(block.columns - column - kGmmHalf - lane, kLanes);
  if (low == 0) return;
  if (block.store == GmmStore::kSwiglu)
    emit_swiglu(block, sums, first, rows, column + lane, low);
  else if (block.store == GmmStore::kBF16)
    emit_rows<BFloat16>(block, sums, first, rows, column + lane, low, high);
  else
    emit_rows<float>(block, sums, first, rows, column + lane, low, high);
}

/// This step's share of the rows that are packed next: on their way into the second-level cache.
void prefetch_rows(const GmmRows& next, int step, int steps) {
  const int64_t lines = (next.k + 63) / 64, all = next.rows * lines;
  const int64_t end = all * (step + 1) / steps;
  for (int64_t i = all * step / steps; i < end; ++i) {
    const int64_t row = next.index ? next.index[i / lines] : i / lines;
    __builtin_prefetch(next.values + row * next.stride + i % lines * 64, 0, /*second level*/ 2);
  }
}

void multiply(const GmmBlock& block) noexcept {
  const int units = static_cast<int>(gmm_units(block.k));
  const int chunks = (units + kChunkUnits - 1) / kChunkUnits;
  const int64_t panel_bytes = gmm_panel_bytes(block.int4, block.k);
  const int64_t row_bytes = gmm_row_bytes(kRowFactor, block.k);
  const int64_t starts_per_row = gmm_starts(block.int4, block.k);
  const auto* rows = static_cast<const int8_t*>(block.rows_packed);
  const auto* starts = reinterpret_cast<const int32_t*>(rows + block.rows * row_bytes);
  const auto* scales = reinterpret_cast<const float*>(starts + block.rows * starts_per_row);
  const int tiles = gmm_num_tiles(block.rows, kTileRows);
  const int lines = tiles > 1 ? static_cast<int>(panel_bytes / 64 / (chunks * tiles)) + 1 : 0;
  const uint8_t* end = block.panels + block.num_panels * panel_bytes;
  const int64_t element = block.store == GmmStore::kBF16 ? 2 : 4;
  const int64_t panel_columns = block.paired ? kGmmHalf : kGmmPanel;
  alignas(64) float out[kTileRows * 2 * kLanes];
  for (int p = 0; p < block.num_panels; ++p) {
    const uint8_t* panel = block.panels + p * panel_bytes;
    const uint8_t* next = p + 1 < block.num_panels ? panel + panel_bytes : block.next;
    for (int t = 0; t < tiles; ++t) {
      if (block.next_rows) prefetch_rows(*block.next_rows, p * tiles + t, block.num_panels * tiles);
      const int begin = gmm_tile_begin(block.rows, tiles, t);
      const int count = gmm_tile_begin(block.rows, tiles, t + 1) - begin;
      const auto function =
          choose_tile(block.int4, t, tiles, count, std::make_index_sequence<kTileRows>());
      for (int lane = 0; lane < kGmmHalf; lane += kLanes) {
        const Tile tile = {
            .rows = rows + begin * row_bytes,
            .starts = starts + begin * starts_per_row,
            .scales = scales + begin,
            .panel = panel,
            .unpacked = block.unpacked,
            .prefetch = tiles > 1 && next ? next + int64_t{t} * chunks * lines * 64 : nullptr,
            .prefetch_lines = lines,
            .end = end,
            .to_next = block.next ? block.next - end : 0,
            .y = static_cast<const char*>(block.y) +
                 (begin * block.y_stride + p * panel_columns) * element,
            .y_stride = block.y_stride * element,
            .units = units,
            .lane = lane,
            .out = out};
        function(tile);
        emit(block, out, begin, count, p, lane);
      }
    }
  }
}

}  // namespace

namespace moge::kernels::MOGE_ISA {
extern const GmmKernels kGmm = {.tile_rows = kTileRows,
                                .row_factor = kRowFactor,
                                .quantize = {quantize<float>, quantize<BFloat16>},
                                .pack_rows = pack_rows,
                                .multiply = multiply};
}  // namespace moge::kernels::MOGE_ISA
