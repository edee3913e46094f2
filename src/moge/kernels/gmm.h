// The bricks of the quantized products (SwiftGMM): rows of s8 times packed s8 or s4 weights, summed
// exactly in 32-bit integers.
//
// Weights are kept unsigned (value + 128, or nibble = value + 8): the instruction u8 x s8 needs no
// sign trick, and the excess is 128 (8) times the sum of the activations, one number a row.
//
// Packed weight: panels of 32 output channels. Channel slots 0..15 are the panel's low half, 16..31
// its high half: neighbours, or (paired) channels n and n + N/2. K is counted in units of 4 values.
//   W8A8  [units][32 slots][4] bytes, then 32 fp32 scales
//   W4A8  per group of 32 units: 32 bf16 scales, then [units][16][4] bytes: the low slot in the
//         low four bits, the high slot in the high four
// Slots and K values that do not exist hold the value 0 and the scale 0.
#pragma once

#include <cstdint>

namespace moge::kernels {

constexpr int kGmmPanel = 32;
constexpr int kGmmHalf = 16;
constexpr int kGmmUnit = 4;         // K values
constexpr int kGmmGroup = 128;      // K values under one s4 scale
constexpr int kGmmGroupUnits = 32;  // the same in units
constexpr int kGmmUnitBytes8 = kGmmPanel * kGmmUnit;
constexpr int kGmmUnitBytes4 = kGmmUnitBytes8 / 2;
constexpr int kGmmScaleBytes8 = kGmmPanel * 4;  // of a panel
constexpr int kGmmScaleBytes4 = kGmmPanel * 2;  // of a group of a panel

static inline int64_t gmm_units(int64_t k) { return (k + kGmmUnit - 1) / kGmmUnit; }
static inline int64_t gmm_groups(int64_t k) { return (k + kGmmGroup - 1) / kGmmGroup; }
static inline int64_t gmm_panel_bytes(bool int4, int64_t k) {
  return int4 ? gmm_units(k) * kGmmUnitBytes4 + gmm_groups(k) * kGmmScaleBytes4
              : gmm_units(k) * kGmmUnitBytes8 + kGmmScaleBytes8;
}

/// Row-major rows of fp32 (dtype 0) or bf16 (dtype 1), quantized one by one: values = x * 127 /
/// absmax, rounded half to even; a row's end is filled with zeros up to `stride`.
struct GmmQuantize {
  const void* x;
  int64_t x_stride;  ///< elements
  int64_t rows, k;
  int8_t* values;
  int64_t stride;  ///< bytes, a multiple of 64
  float* scales;
  int32_t* sums;  ///< [rows][groups]
};

/// Quantized rows that are brought into the order in which multiply() reads them.
struct GmmRows {
  const int8_t* values;
  int64_t stride;
  const float* scales;
  const int32_t* sums;
  const int32_t* index;  ///< row i is index[i], or i where null
  int rows;
  int64_t k;
  bool int4;
};

/// What becomes of a sum.
enum class GmmStore : uint8_t {
  kF32,
  kBF16,
  kSwiglu,  ///< fp32: silu(low) * high of paired channels
};

struct GmmBlock {
  const void* rows_packed;
  int rows;
  int64_t k;
  bool int4;
  const uint8_t* panels;
  int num_panels;
  uint8_t* unpacked;    ///< s4 with more than one tile: units * kGmmUnitBytes8 bytes; else unused
  const uint8_t* next;  ///< weights read soon after this block; may be null
  const GmmRows* next_rows;  ///< rows packed right after this block; may be null

  GmmStore store;
  void* y;            ///< first row, first low column
  int64_t y_stride;   ///< elements
  bool paired;        ///< a panel holds 16 low columns, else 32 columns
  int columns;        ///< low columns of a paired weight, else all
  int high;           ///< elements from a low column to the high one beside it: 16, or N/2
  const float* bias;  ///< or null; at the first low column
  bool accumulate;    ///< y +=
};

struct GmmKernels {
  int tile_rows;
  int row_factor;  ///< bytes of packed rows for each value

  void (*quantize[2])(const GmmQuantize&) noexcept;
  void (*pack_rows)(const GmmRows&, void* packed) noexcept;
  void (*multiply)(const GmmBlock&) noexcept;
};

/// Packed rows: tiles of at most tile_rows rows, as even as possible; in a tile 64 K values of each
/// row in turn. Behind them what each row starts its sums from, for low and high slots (by group
/// for s4), and the scales.
static inline int64_t gmm_row_bytes(int row_factor, int64_t k) {
  return (k + 63) / 64 * 64 * row_factor;
}
static inline int64_t gmm_starts(bool int4, int64_t k) { return int4 ? 2 * gmm_groups(k) : 2; }
static inline int64_t gmm_packed_rows_bytes(int row_factor, int64_t rows, int64_t k) {
  const int64_t bytes = rows * (gmm_row_bytes(row_factor, k) + 4 * (gmm_starts(true, k) + 3));
  return (bytes + 63) / 64 * 64;
}
static inline int gmm_num_tiles(int rows, int tile_rows) {
  return (rows + tile_rows - 1) / tile_rows;
}
static inline int gmm_tile_begin(int rows, int tiles, int t) {
  return static_cast<int>(static_cast<int64_t>(rows) * t / tiles);
}

}  // namespace moge::kernels
