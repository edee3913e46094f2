// Lanes of an attention block: where they stand, how their rows become columns and back, and which
// keys they see. C head dim, Cp the same rounded up to 16, L the lanes of a block.
#pragma once

#include "moge/kernels/attention.h"
#include "moge/kernels/cpu/math.inl"

namespace {

using moge::kernels::attention_padded_dim;
using moge::kernels::AttentionForward;
using moge::kernels::AttentionKeys;
using moge::kernels::kAttentionKeys;
using moge::kernels::kAttentionLanes;

constexpr int kL = kAttentionLanes;

/// The lanes of one block. Those beyond `num` stand at last_position and hold zeros.
struct Lanes {
  int num, vectors;  ///< lanes in use, and whole vectors that hold them
  int64_t first_position, last_position;
  int64_t row[kL];  ///< of the sequence's queries
  int head[kL];     ///< of the group
  alignas(64) int32_t position[kL];

  /// Element offset of lane l in an array with `stride` between rows, heads adjacent.
  int64_t offset(int l, int64_t stride, int head_dim) const {
    return row[l] * stride + head[l] * head_dim;
  }
};

inline Lanes place_lanes(const AttentionForward& f, int64_t first, int num) {
  Lanes lanes;
  lanes.num = num;
  lanes.vectors = (num + kLanes - 1) / kLanes;
  int64_t row = first / f.group;
  int head = static_cast<int>(first % f.group);
  lanes.first_position = f.first_position + row;
  for (int l = 0; l < num; ++l) {
    lanes.row[l] = row;
    lanes.head[l] = head;
    lanes.position[l] = static_cast<int32_t>(f.first_position + row);
    if (++head == f.group) ++row, head = 0;
  }
  lanes.last_position = lanes.position[num - 1];
  for (int l = num; l < kL; ++l) lanes.position[l] = lanes.position[num - 1];
  return lanes;
}

/// row_C[0..Cp) = x[0..C) in fp32, then zeros.
template <class T>
void widen_row(const T* x_C, int C, int Cp, float* row_C) {
  for_vectors(C, [&](int64_t c, auto lanes) { store(row_C + c, load(x_C + c, lanes)); });
  for (int c = (C + kLanes - 1) / kLanes * kLanes; c < Cp; c += kLanes) store(row_C + c, Vec{});
}

/// rows_LC = the lanes' rows of x (fp32 or bf16 as f says), zeros beyond C and beyond num.
inline void pack_rows(const AttentionForward& f, const Lanes& lanes, const void* x, int64_t stride,
                      float* rows_LC) {
  const int C = f.head_dim, Cp = static_cast<int>(attention_padded_dim(C));
  for (int l = 0; l < lanes.num; ++l) {
    const int64_t at = lanes.offset(l, stride, C);
    if (f.bf16)
      widen_row(static_cast<const BFloat16*>(x) + at, C, Cp, rows_LC + l * Cp);
    else
      widen_row(static_cast<const float*>(x) + at, C, Cp, rows_LC + l * Cp);
  }
  for (int i = lanes.num * Cp; i < lanes.vectors * kLanes * Cp; i += kLanes)
    store(rows_LC + i, Vec{});
}

struct ZipIndices {
  alignas(64) int32_t low[kLanes], high[kLanes];
};
constexpr ZipIndices zip_indices() {
  ZipIndices zip{};
  for (int i = 0; i < kLanes; ++i) {
    zip.low[i] = i / 2 + i % 2 * kLanes;
    zip.high[i] = zip.low[i] + kLanes / 2;
  }
  return zip;
}
constexpr ZipIndices kZip = zip_indices();

/// Lane i of the result is lane index[i] of a followed by b.
inline Vec shuffle(Vec a, Vec b, VecI index) {
#ifdef __clang__  // it shuffles by constant indices only; Clang builds are for fuzzing
  Vec out{};
  for (int i = 0; i < kLanes; ++i) out[i] = index[i] < kLanes ? a[index[i]] : b[index[i] - kLanes];
  return out;
#else
  return __builtin_shuffle(a, b, index);
#endif
}

/// Transposes kLanes x kLanes: each round zips row i with row i + kLanes / 2, which rotates the
/// bits of (row, column) by one.
inline void transpose(Vec (&rows)[kLanes]) {
#if MOGE_VECTOR_BYTES > 4
  const VecI low = *reinterpret_cast<const VecI*>(kZip.low);
  const VecI high = *reinterpret_cast<const VecI*>(kZip.high);
#pragma GCC unroll 4
  for (int round = 1; round < kLanes; round *= 2) {
    Vec zipped[kLanes];
#pragma GCC unroll 8
    for (int i = 0; i < kLanes / 2; ++i) {
      zipped[2 * i] = shuffle(rows[i], rows[i + kLanes / 2], low);
      zipped[2 * i + 1] = shuffle(rows[i], rows[i + kLanes / 2], high);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) rows[i] = zipped[i];
  }
#else
  (void)rows;
#endif
}

/// columns_CL[c][l] = factor * rows_LC[l][c]
inline void to_columns(const Lanes& lanes, const float* rows_LC, int C, float factor,
                       float* columns_CL) {
  const int Cp = static_cast<int>(attention_padded_dim(C));
  for (int l = 0; l < lanes.vectors * kLanes; l += kLanes)
    for (int c = 0; c < C; c += kLanes) {
      Vec block[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) block[i] = load(rows_LC + (l + i) * Cp + c) * factor;
      transpose(block);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) store(columns_CL + (c + i) * kL + l, block[i]);
    }
}

/// Lane l's row of x = factor_L[l] * columns_CL[.][l] + 0 (the sign of a zero does not stay).
template <class T>
void write_columns(const Lanes& lanes, const float* columns_CL, const float* factor_L, int C,
                   int64_t stride, T* x) {
  for (int l = 0; l < lanes.num; l += kLanes) {
    const int rows = lanes.num - l < kLanes ? lanes.num - l : kLanes;
    for_vectors(C, [&](int64_t c, auto tail) {
      Vec block[kLanes];
      const Vec factor = load(factor_L + l);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i)
        block[i] = load(columns_CL + (c + i) * kL + l) * factor + 0.0f;
      transpose(block);
      for (int i = 0; i < rows; ++i) store(x + lanes.offset(l + i, stride, C) + c, block[i], tail);
    });
  }
}

/// Keys [begin, end) of a tile.
struct KeyRange {
  int64_t begin, end;
  int size() const { return static_cast<int>(end - begin); }
};

/// Those of the tile at tile_begin that any lane sees.
inline KeyRange visible_keys(const AttentionForward& f, const Lanes& lanes, int64_t tile_begin) {
  KeyRange range{tile_begin, tile_begin + kAttentionKeys};
  if (f.window > 0 && lanes.first_position - f.window + 1 > range.begin)
    range.begin = lanes.first_position - f.window + 1;
  if (lanes.last_position + 1 < range.end) range.end = lanes.last_position + 1;
  return range;
}

inline int64_t first_tile(const AttentionForward& f, const Lanes& lanes) {
  if (f.window <= 0 || lanes.first_position < f.window) return 0;
  return (lanes.first_position - f.window + 1) / kAttentionKeys * kAttentionKeys;
}

/// s_KL[key][lane] = -infinity where the lane does not see the key.
inline void mask(const AttentionForward& f, const Lanes& lanes, KeyRange range, float* s_KL) {
  const int64_t reach =
      f.window > 0 && f.window <= lanes.last_position ? f.window : lanes.last_position + 1;
  for (int64_t key = range.begin; key < range.end; ++key) {
    if (key <= lanes.first_position && key > lanes.last_position - reach) continue;  // all see it
    for (int l = 0; l < lanes.vectors * kLanes; l += kLanes) {
      float* s = s_KL + (key - range.begin) * kL + l;
      const VecI back =
          *reinterpret_cast<const VecI*>(lanes.position + l) - static_cast<int32_t>(key);
      const VecI seen = (back >= 0) & (back < static_cast<int32_t>(reach));
      store(s, seen ? load(s) : splat(-__builtin_inff()));
    }
  }
}

/// Consecutive positions whose rows lie evenly in memory.
struct Run {
  const float* rows = nullptr;
  int64_t stride = 0;
  int first = 0, size = 0;  ///< first: counted from the range's begin
};

/// body(run) for every run of `range` in k or v (`base`); bf16 becomes fp32 rows in tile_KC.
template <class Body>
void for_runs(const AttentionKeys& keys, const void* base, int64_t stride, KeyRange range, int C,
              float* tile_KC, Body body) {
  const int Cp = static_cast<int>(attention_padded_dim(C));
  for (int64_t p = range.begin; p < range.end;) {
    int64_t end = range.end, at = p * stride;
    if (keys.block_table) {
      const int64_t block = p / keys.block_rows, row = p - block * keys.block_rows;
      at = keys.block_table[block] * keys.block_stride + row * stride;
      if (p - row + keys.block_rows < end) end = p - row + keys.block_rows;
    }
    const int first = static_cast<int>(p - range.begin), size = static_cast<int>(end - p);
    if (keys.bf16) {
      const BFloat16* rows = static_cast<const BFloat16*>(base) + at;
      for (int i = 0; i < size; ++i)
        widen_row(rows + i * stride, C, Cp, tile_KC + (first + i) * Cp);
    } else {
      body(Run{static_cast<const float*>(base) + at, stride, first, size});
    }
    p = end;
  }
  if (keys.bf16) body(Run{tile_KC, Cp, 0, range.size()});
}

}  // namespace
