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

}  // namespace moge::kernels
