// Every matrix product of the program: grouped linear layers, a dense one being a group of one.
// T tokens, R routed rows, K input width, N output width, E experts.
//
//   forward           y_RN  = x_RK w_e^T        rows grouped
//   backward_input    dx_RK = dy_RN w_e         rows grouped
//   backward_weight   dw_e += dy_e^T x_e        K grouped
//
// A row's result has the same bits whatever other rows share the call and for any number of
// threads: every output element is summed over K in one fixed order.
#pragma once

#include <cstdint>
#include <span>

#include "moge/ops/context.h"
#include "moge/ops/tile_sizes.h"

namespace moge {

/// How a weight is stored. Callers pass Weight on; only ops/linear looks inside.
enum class WeightFormat : uint8_t {
  kRowMajor,  ///< [E][N][K] of `dtype`: what training uses, weights change every step
  kPacked,    ///< panels of the chosen instruction set, made once by pack_weight or pack_rows
  kW8A8,      ///< s8, one fp32 scale per output channel; made by pack_rows, inference only
  kW4A8,  ///< s4 in groups of 128 along K, one bf16 scale per group and output channel; as above
};

/// {format, view} of E matrices of N x K.
struct Weight {
  WeightFormat format = WeightFormat::kRowMajor;
  DType dtype = DType::kF32;  ///< kF32 or kBF16; of no meaning for kW8A8 and kW4A8
  int64_t experts = 1, n = 0, k = 0;
  const void* data = nullptr;
  /// Packed formats: output channels n and n + N/2 (gate and up) lie in one panel, so that one pass
  /// makes both and SwiGLU follows in registers (ops/expert_mlp.h). N is even; outputs and row
  /// numbers keep their order: gate 0..N/2, then up.
  bool paired = false;
  TileTable tiles{};  ///< kW8A8 and kW4A8: chosen once by ops/tiling.h, or as built in

  bool quantized() const { return format == WeightFormat::kW8A8 || format == WeightFormat::kW4A8; }
  static Weight dense(const Tensor& w_NK);     ///< row-major view of a 2-D tensor
  static Weight grouped(const Tensor& w_ENK);  ///< row-major view of a 3-D tensor
  explicit operator bool() const { return data != nullptr; }
};

/// Rows [offsets[e], offsets[e+1]) belong to expert e; empty span = one group of all rows.
using Groups = std::span<const int32_t>;

struct LinearOptions {
  bool accumulate = false;  ///< y += instead of y =
  /// Sum eighths of K by the fixed binary tree ((0+1)+(2+3))+((4+5)+(6+7)), so that a row-parallel
  /// split over 2, 4 or 8 ranks gives the same bits. For attention output and down projections.
  bool sum_in_eighths = false;
  /// With sum_in_eighths: this call's K is one of so many (1, 2, 4, 8) equal slices of the whole,
  /// so it holds 8 / k_slices eighths. An eighth is ceil(K / 8) values, rounded up to even.
  int k_slices = 1;
  Tensor token_of_R;  ///< i32 [R], may be absent: row r of the groups is the input's token_of_R[r]
};

/// Rows of linear_backward_weight that are gathered: i32 [R] each, may be absent.
struct GatheredRows {
  Tensor dy, x;
};

/// y_RN (fp32 or bf16) = x_RK (row stride free) * w^T + bias_N (fp32, may be absent).
/// x must have the weight's dtype; accumulation in fp32. A quantized weight takes x of either type
/// and quantizes its rows on the way (quantize_rows); its sums over K are exact integers (kW4A8:
/// over 128 values; the groups' fp32 sums are one chain in the order of K), so sum_in_eighths
/// changes nothing.
void linear_forward(const Context& context, const Tensor& x_RK, const Weight& w_ENK, Groups groups,
                    const Tensor& bias_N, const Tensor& y_RN, LinearOptions options = {});

/// dx_RK (fp32 or bf16) = dy_RN * w. dy must have the weight's dtype; row-major weights only.
void linear_backward_input(const Context& context, const Tensor& dy_RN, const Weight& w_ENK,
                           Groups groups, const Tensor& dx_RK, LinearOptions options = {});

/// dw_ENK (fp32) += dy^T x per group; dbias_N (fp32, may be absent) += column sums of dy.
/// dy and x have one dtype. An expert without rows keeps its dw.
void linear_backward_weight(const Context& context, const Tensor& dy_RN, const Tensor& x_RK,
                            Groups groups, const Tensor& dw_ENK, const Tensor& dbias_N,
                            GatheredRows gathered = {});

/// Bytes of the packed form for inference.
int64_t packed_bytes(const kernels::Table& table, DType dtype, int64_t experts, int64_t n,
                     int64_t k);
/// Packs row-major `source` (fp32 or bf16) into `target` as `dtype`.
Weight pack_weight(const Context& context, const Weight& source, DType dtype, void* target);

// ---- quantized and streamed weights
//
// A weight's memory is filled range by range as tensors arrive:
//   Weight w = {.format = WeightFormat::kW8A8, .experts = E, .n = 2 * F, .k = D, .paired = true};
//   w.data = memory;                                   // packed_bytes(table, w), 64-byte aligned
//   pack_rows(context, w, e, 0, gate_rows, memory);    // rows 0..F of expert e from one tensor
//   pack_rows(context, w, e, F, up_rows, memory);      // rows F..2F from the next one
// Any ranges in any order; each output channel must be written once before the weight is used.
// The values stand for value * scale. How they were rounded is the writer's business (moge
// quantize, and compressed-tensors: scale = absmax / 127.5 or absmax / 7.5, round half to even,
// clamp to -128..127 or -8..7); every value of the type is multiplied exactly.

constexpr int64_t kInt4Group = 128;  ///< K values under one scale of kW4A8; the last may be shorter

/// Rows as they lie on disk (compressed-tensors "int-quantized"): N x K.
struct Int8Rows {
  int64_t rows = 0;
  const int8_t* values_NK = nullptr;
  const float* scales_N = nullptr;
};
/// Rows as they lie on disk (compressed-tensors "pack-quantized"): int32 words of 8 nibbles, the
/// first value in the lowest four bits, each nibble = value + 8; a row starts with a new word.
struct Int4Rows {
  int64_t rows = 0;
  const uint32_t* words_NK8 = nullptr;  ///< [rows][ceil(K / 8)]
  const BFloat16* scales_NG = nullptr;  ///< [rows][ceil(K / 128)]
};
/// Row-major fp32 or bf16 rows, for kPacked.
struct FloatRows {
  int64_t rows = 0;
  DType dtype = DType::kF32;
  const void* values_NK = nullptr;
};

/// Bytes of the packed form of `weight` (kPacked, kW8A8 or kW4A8; `data` is not looked at). Experts
/// follow each other in equal parts.
int64_t packed_bytes(const kernels::Table& table, const Weight& weight);
/// Writes output channels [first_row, first_row + source.rows) of one expert into `target`, the
/// memory of all experts. One call at a time per panel of 32 channels; a call itself uses all
/// threads.
void pack_rows(const Context& context, const Weight& weight, int64_t expert, int64_t first_row,
               const Int8Rows& source, void* target);
void pack_rows(const Context& context, const Weight& weight, int64_t expert, int64_t first_row,
               const Int4Rows& source, void* target);
void pack_rows(const Context& context, const Weight& weight, int64_t expert, int64_t first_row,
               const FloatRows& source, void* target);

/// Activations, quantized once per row: x[r][k] = scales[r] * values[r][k], scale = absmax / 127,
/// rounded half to even. A row with NaN has a NaN scale, one with infinity an infinite one.
struct QuantizedRows {
  int64_t rows = 0, k = 0;
  int64_t stride = 0;        ///< bytes of a row, a multiple of 64; zero from k on
  int8_t* values = nullptr;  ///< [rows][stride]
  float* scales = nullptr;   ///< [rows]
  int32_t* sums = nullptr;   ///< [rows][ceil(k / 128)]: of each 128 values

  static QuantizedRows allocate(Arena& arena, int64_t rows, int64_t k);
  static size_t bytes(int64_t rows, int64_t k);  ///< what allocate() takes
};
/// x_RK: fp32 or bf16, row stride free.
void quantize_rows(const Context& context, const Tensor& x_RK, const QuantizedRows& q);
/// The same product from rows that are quantized already. `token_of_R` (i32, may be absent): row r
/// of the groups is x's row token_of_R[r].
void linear_forward(const Context& context, const QuantizedRows& x_TK, const Tensor& token_of_R,
                    const Weight& w_ENK, Groups groups, const Tensor& bias_N, const Tensor& y_RN,
                    LinearOptions options = {});

/// Scratch that one call takes at most.
size_t linear_scratch_bytes(const Context& context, int64_t rows, int64_t experts, int64_t n,
                            int64_t k);

}  // namespace moge
