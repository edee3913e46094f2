// Packed block times packed panels (kernels/gemm.h): a tile of up to 14 rows (AVX-512; else 6) by
// two vectors of columns keeps its sums in registers.
#include "moge/kernels/cpu/gemm_pack.inl"
#include "moge/kernels/cpu/math.inl"
#include "moge/kernels/gemm_block.h"

namespace {

using moge::kernels::GemmBlock;
using moge::kernels::GemmKernels;
using moge::kernels::GemmNextRows;
using moge::kernels::kGemmPartialTiles;
using moge::kernels::kGemmSegmentUnits;

constexpr int kTileFloats = kTileRows * kPanel;
constexpr int kHalf = kPanel / 2;
constexpr int kRunning = 3;  // partial tile of the part under way; 0..2 are complete subtrees

/// One tile of C.
struct Tile {
  void* c;  // upper left element
  const void* next_c;
  int columns;
  const float* bias;
  float* partials;
  const GemmBlock* block;
  const float* ahead;  // panels that come next
  int ahead_lines;     // of them, fetched in each chunk of K
};

template <class Out>
void emit_rows(const Tile& tile, const float* sums, int rows) {
  for (int m = 0; m < rows; ++m, sums += kPanel) {
    Out* c = static_cast<Out*>(tile.c) + m * tile.block->c_stride;
    const auto one = [&](int n, auto lanes) {
      Vec sum = load(sums + n);
      if (tile.bias) sum += load(tile.bias + n, lanes);
      if (tile.block->accumulate) sum = load(c + n, lanes) + sum;
      store(c + n, sum, lanes);
    };
    for_vectors(tile.columns, one);
  }
}

template <class Out>
void emit_swiglu(const Tile& tile, const float* sums, int rows) {
  for (int m = 0; m < rows; ++m, sums += kPanel) {
    Out* c = static_cast<Out*>(tile.c) + m * tile.block->c_stride;
    const Vec gate = load(sums), up = load(sums + kHalf);
    const Vec act = gate * sigmoid(gate) * up;
    if (tile.columns == kHalf)
      store(c, act);
    else
      store(c, act, First{tile.columns});
  }
}

/// Rounds, adds the bias, masks columns, applies SwiGLU: whatever the store from registers does
/// not do.
__attribute__((noinline)) void emit(const Tile& tile, const float* sums, int rows) {
  if (tile.block->swiglu)
    return tile.block->c_is_bf16 ? emit_swiglu<BFloat16>(tile, sums, rows)
                                 : emit_swiglu<float>(tile, sums, rows);
  if (tile.block->c_is_bf16)
    emit_rows<BFloat16>(tile, sums, rows);
  else
    emit_rows<float>(tile, sums, rows);
}

template <int kRows>
using Sums = Vec[kRows][2];

template <int kRows>
inline __attribute__((always_inline)) void add_partial(Sums<kRows>& sums, const float* partial) {
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
    sums[m][0] = load(partial + m * kPanel) + sums[m][0];
    sums[m][1] = load(partial + m * kPanel + kLanes) + sums[m][1];
  }
}

template <int kRows>
inline __attribute__((always_inline)) void keep(const Sums<kRows>& sums, float* to,
                                                int64_t stride) {
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
    store(to + m * stride, sums[m][0]);
    store(to + m * stride + kLanes, sums[m][1]);
  }
}

template <int kRows>
inline __attribute__((always_inline)) void accumulate(const Sums<kRows>& sums, float* to,
                                                      int64_t stride) {
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
    store(to + m * stride, load(to + m * stride) + sums[m][0]);
    store(to + m * stride + kLanes, load(to + m * stride + kLanes) + sums[m][1]);
  }
}

template <int kRows>
inline __attribute__((always_inline)) void finish(Sums<kRows>& sums, const GemmSegment& segment,
                                                  const Tile& tile) {
  if (segment.continues) add_partial<kRows>(sums, tile.partials + kRunning * kTileFloats);
  if (!segment.ends_part) return keep<kRows>(sums, tile.partials + kRunning * kTileFloats, kPanel);
  for (int level = 0; level < segment.joins; ++level)
    add_partial<kRows>(sums, tile.partials + level * kTileFloats);
  if (!segment.last) return keep<kRows>(sums, tile.partials + segment.joins * kTileFloats, kPanel);
  const GemmBlock& block = *tile.block;
  auto* c = static_cast<float*>(tile.c);
  if (block.c_is_bf16 || tile.bias || tile.columns < kPanel) {  // SwiGLU has kHalf columns
    float buffer[kRows * kPanel];
    keep<kRows>(sums, buffer, kPanel);
    emit(tile, buffer, kRows);
  } else if (block.accumulate) {
    accumulate<kRows>(sums, c, block.c_stride);
  } else {
    keep<kRows>(sums, c, block.c_stride);
  }
}

/// Few rows are decoding: weights come from memory, so ask for them 8 KiB ahead into the
/// second-level cache, 1 KiB ahead into the first (kernels/cpu/gmm.cc has the reason).
constexpr int kPrefetchRows = 8;
constexpr int kMemoryFloats = 2048;
constexpr int kNearFloats = 256;

/// How A is packed: kernels/gemm.h.
enum class Layout { kByRows, kByColumns };

template <class F, Layout kA>
constexpr int kRowStep = kA == Layout::kByRows ? kRowFloats<F> : 1;
template <class F, Layout kA>
constexpr int kUnitStep = kA == Layout::kByRows ? 1 : kUnitFloats<F>;
template <Layout kA>
constexpr int kFactorStep = kA == Layout::kByRows ? kGemmChunk : kUnitRows;
template <class F, Layout kA>
constexpr int kChunkStep = kA == Layout::kByRows ? kChunkFloats<F> : kColumnChunkFloats<F>;

template <class F, Layout kA, int kFactor, int kRows>
inline __attribute__((always_inline)) void multiply_unit(const float* a, const float* b,
                                                         Sums<kRows>& sums) {
  const Vec b0 = F::template panel<kFactor>(b), b1 = F::template panel<kFactor>(b + kLanes);
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
    const Vec x = splat(a[m * kRowStep<F, kA> + kFactor * kFactorStep<kA>]);
    sums[m][0] = F::multiply_add(x, b0, sums[m][0]);
    sums[m][1] = F::multiply_add(x, b1, sums[m][1]);
  }
}

/// `ahead` moves on with what was fetched.
template <class F, Layout kA, int kRows>
inline __attribute__((always_inline)) void sum_segment(const float* a, const float* b, int units,
                                                       const float*& ahead, int ahead_lines,
                                                       Sums<kRows>& sums) {
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) sums[m][0] = sums[m][1] = Vec{};
  for (int left = units; left > 0; left -= kGemmChunk, a += kChunkStep<F, kA>) {
    for (int i = 0; i < ahead_lines; ++i, ahead += 16)
      __builtin_prefetch(ahead, /*write=*/0, /*second level*/ 2);
    const int in_chunk = left < kGemmChunk ? left : kGemmChunk;
    for (int u = 0; u < in_chunk; ++u, b += kPanel) {
      if constexpr (kRows <= kPrefetchRows) {
        for (int i = 0; i < kPanel; i += 16) {
          __builtin_prefetch(b + kMemoryFloats + i, /*write=*/0, /*second level*/ 2);
          __builtin_prefetch(b + kNearFloats + i);
        }
      }
      const float* a_u = a + u * kUnitStep<F, kA>;
      multiply_unit<F, kA, 0, kRows>(a_u, b, sums);
      if constexpr (F::kFactors > 1) multiply_unit<F, kA, 1, kRows>(a_u, b, sums);
    }
  }
}

/// C of the next tile: its lines are on their way while this one's sums are made.
inline void prefetch_c(const Tile& tile, int rows) {
  const int64_t stride = tile.block->c_stride * (tile.block->c_is_bf16 ? 2 : 4);
  const char* row = static_cast<const char*>(tile.next_c);
  for (int m = 0; m < rows; ++m, row += stride) {
    __builtin_prefetch(row, /*write=*/0, /*second level*/ 2);
    if (kPanel * 4 > 64) __builtin_prefetch(row + 64, /*write=*/0, /*second level*/ 2);
  }
}

/// A tile of A and a panel of B through `count` segments.
template <class F, Layout kA, int kRows>
void multiply_tile(const float* a, const float* b, const GemmSegment* segments, int count,
                   const Tile& tile) {
  if (segments[count - 1].last) prefetch_c(tile, kRows);
  const float* ahead = tile.ahead;
  const int first_chunk = tile.block->segments[0].chunk;
  for (const GemmSegment* segment = segments; segment != segments + count; ++segment) {
    Sums<kRows> sums;
    sum_segment<F, kA, kRows>(a + int64_t{segment->chunk - first_chunk} * kChunkStep<F, kA>,
                              b + int64_t{segment->begin} * kPanel, segment->units, ahead,
                              tile.ahead_lines, sums);
    finish<kRows>(sums, *segment, tile);
  }
}

using TileFunction = void (*)(const float*, const float*, const GemmSegment*, int, const Tile&);

template <class F, Layout kA, size_t... kIndex>
TileFunction choose_tile(int rows, std::index_sequence<kIndex...>) {
  static constexpr TileFunction kFunctions[] = {multiply_tile<F, kA, int{kIndex} + 1>...};
  return kFunctions[rows - 1];
}
template <class F>
TileFunction choose_tile(bool by_columns, int rows) {
  const std::make_index_sequence<kTileRows> indices;
  return by_columns ? choose_tile<F, Layout::kByColumns>(rows, indices)
                    : choose_tile<F, Layout::kByRows>(rows, indices);
}

/// Share number `i` of `n` of the rows that are packed next.
inline void prefetch(const GemmNextRows& next, int64_t i, int64_t n) {
  if (next.count <= 0) return;
  for (int64_t r = next.count * i / n; r < next.count * (i + 1) / n; ++r) {
    const char* row = next.data + (next.index ? next.index[r] : r) * next.stride_bytes;
    for (int64_t at = 0; at < next.row_bytes; at += 64)
      __builtin_prefetch(row + at, /*write=*/0, /*second level*/ 2);
  }
}

/// `count` segments of a panel, and what is fetched while they are multiplied.
struct PanelPart {
  int panel;
  const GemmSegment* segments;
  int count;
  const float* ahead;
  int ahead_lines;  // in each chunk of each tile
};

/// Tile t of the block, rows [m, m + rows), times a part of a panel.
template <class F>
void multiply_part(const GemmBlock& block, int tiles, int t, int m, int rows,
                   const PanelPart& part) {
  const int64_t element = block.c_is_bf16 ? 2 : 4;
  const int width = block.swiglu ? kHalf : kPanel, n = part.panel * width;
  const int chunk_floats = block.a_by_columns ? kColumnChunkFloats<F> : kChunkFloats<F>;
  const int64_t partials = block.panel_partials ? int64_t{part.panel} * tiles + t : t;
  char* c = static_cast<char*>(block.c) + (m * block.c_stride + n) * element;
  const Tile tile = {.c = c,
                     .next_c = c + rows * block.c_stride * element,
                     .columns = block.columns - n < width ? block.columns - n : width,
                     .bias = block.bias ? block.bias + n : nullptr,
                     .partials = block.partials + partials * kGemmPartialTiles * kTileFloats,
                     .block = &block,
                     .ahead = part.ahead,
                     .ahead_lines = part.ahead_lines};
  choose_tile<F>(block.a_by_columns, rows)(
      static_cast<const float*>(block.a_packed) + int64_t{t} * block.chunks * chunk_floats,
      static_cast<const float*>(block.b_packed) + int64_t{part.panel} * kPanel * block.units,
      part.segments, part.count, tile);
}

inline int num_panels(const GemmBlock& block) {
  const int width = block.swiglu ? kHalf : kPanel;
  return (block.columns + width - 1) / width;
}

/// A tile of A stays near while panels of few units pass by.
template <class F>
void multiply_tiles(const GemmBlock& block) {
  const int tiles = gemm_num_tiles(block.rows, kTileRows), panels = num_panels(block);
  for (int t = 0, m = 0, end; t < tiles; ++t, m = end) {
    end = gemm_tile_begin(block.rows, tiles, t + 1);
    for (int p = 0; p < panels; ++p) {
      prefetch(block.next, int64_t{t} * panels + p, int64_t{tiles} * panels);
      multiply_part<F>(block, tiles, t, m, end - m,
                       {.panel = p, .segments = block.segments, .count = block.num_segments});
    }
  }
}

/// As many segments from `s` on as one chain of sums is long: they stay near for all tiles.
inline int next_part(const GemmBlock& block, int s, int* units) {
  *units = block.segments[s].units;
  int next = s + 1;
  for (; next < block.num_segments; ++next) {
    if (*units + block.segments[next].units > kGemmSegmentUnits) break;
    *units += block.segments[next].units;
  }
  return next;
}

/// Where `part` of B begins, or what follows the block.
inline const float* part_begin(const GemmBlock& block, int panel, int s) {
  if (s == block.num_segments) s = 0, ++panel;
  if (panel == num_panels(block)) return block.next_b;
  return static_cast<const float*>(block.b_packed) +
         (int64_t{panel} * block.units + block.segments[s].begin) * kPanel;
}

/// A part of a panel stays near for all tiles.
template <class F>
void multiply_panels(const GemmBlock& block) {
  const int tiles = gemm_num_tiles(block.rows, kTileRows), panels = num_panels(block);
  for (int p = 0; p < panels; ++p)
    for (int s = 0, next, units; s < block.num_segments; s = next) {
      next = next_part(block, s, &units);
      PanelPart part = {.panel = p, .segments = block.segments + s, .count = next - s};
      if (block.b_streams && (tiles > 1 || block.rows > kPrefetchRows)) {
        const int lines = units * kPanel / 16, chunks = (units + kGemmChunk - 1) / kGemmChunk;
        part.ahead = part_begin(block, p, next);
        if (part.ahead && chunks > 0) part.ahead_lines = lines / (chunks * tiles) + 1;
      }
      for (int t = 0, m = 0, end; t < tiles; ++t, m = end) {
        end = gemm_tile_begin(block.rows, tiles, t + 1);
        if (s == 0) prefetch(block.next, int64_t{p} * tiles + t, int64_t{tiles} * panels);
        multiply_part<F>(block, tiles, t, m, end - m, part);
        part.ahead += int64_t{part.ahead_lines} * ((units + kGemmChunk - 1) / kGemmChunk) * 16;
      }
    }
}

template <class F>
void multiply(const GemmBlock& block) noexcept {
  const FlushSubnormals guard(F::kFlushesSubnormals);
  const bool few_units = block.num_segments == 1 || block.units <= kGemmSegmentUnits;
  few_units && !block.b_streams ? multiply_tiles<F>(block) : multiply_panels<F>(block);
}

template <class F>
void add_column_sums(const void* x, int64_t ld, int columns, int64_t k, float* sum_N) noexcept {
  const auto* source = static_cast<const typename F::Source*>(x);
  const auto one = [&](int n, auto lanes) {
    for (int64_t begin = 0; begin < k; begin += kGemmSegmentUnits) {
      const int64_t end = k - begin < kGemmSegmentUnits ? k : begin + kGemmSegmentUnits;
      Vec sum{};
      for (int64_t r = begin; r < end; ++r) sum += load(source + r * ld + n, lanes);
      store(sum_N + n, load(sum_N + n, lanes) + sum, lanes);
    }
  };
  for_vectors(columns, one);
}

template <class F>
constexpr GemmKernels make_kernels() {
  return {.tile_rows = kTileRows,
          .panel_columns = kPanel,
          .unit_elements = F::kUnit,
          .a_floats = F::kFactors,
          .pack_b_rows = pack_b_rows<F>,
          .pack_b_columns = pack_b_columns<F>,
          .pack_a_rows = pack_a_rows<F>,
          .pack_a_columns = pack_a_columns<F>,
          .multiply = multiply<F>,
          .add_column_sums = add_column_sums<F>};
}

}  // namespace

namespace moge::kernels::MOGE_ISA {
extern const GemmKernels kGemmF32 = make_kernels<Fp32>();
extern const GemmKernels kGemmBf16 = make_kernels<Bf16>();
}  // namespace moge::kernels::MOGE_ISA
