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

namespace moge {

/// How a weight is stored. Callers pass Weight on; only ops/linear looks inside.
enum class WeightFormat : uint8_t {
  kRowMajor,  ///< [E][N][K] of `dtype`: what training uses, weights change every step
  kPacked,    ///< panels of the chosen instruction set, made once by pack_weight
};

/// {format, view} of E matrices of N x K.
struct Weight {
  WeightFormat format = WeightFormat::kRowMajor;
  DType dtype = DType::kF32;  ///< kF32 or kBF16
  int64_t experts = 1, n = 0, k = 0;
  const void* data = nullptr;

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
};

/// y_RN (fp32 or bf16) = x_RK (row stride free) * w^T + bias_N (fp32, may be absent).
/// x must have the weight's dtype. Accumulation in fp32.
void linear_forward(const Context& context, const Tensor& x_RK, const Weight& w_ENK, Groups groups,
                    const Tensor& bias_N, const Tensor& y_RN, LinearOptions options = {});

/// dx_RK (fp32 or bf16) = dy_RN * w. dy must have the weight's dtype; row-major weights only.
void linear_backward_input(const Context& context, const Tensor& dy_RN, const Weight& w_ENK,
                           Groups groups, const Tensor& dx_RK, LinearOptions options = {});

/// dw_ENK (fp32) += dy^T x per group; dbias_N (fp32, may be absent) += column sums of dy.
/// dy and x have one dtype. An expert without rows keeps its dw.
void linear_backward_weight(const Context& context, const Tensor& dy_RN, const Tensor& x_RK,
                            Groups groups, const Tensor& dw_ENK, const Tensor& dbias_N);

/// Bytes of the packed form for inference.
int64_t packed_bytes(const kernels::Table& table, DType dtype, int64_t experts, int64_t n,
                     int64_t k);
/// Packs row-major `source` (fp32 or bf16) into `target` as `dtype`.
Weight pack_weight(const Context& context, const Weight& source, DType dtype, void* target);

/// Scratch that one call takes at most.
size_t linear_scratch_bytes(const Context& context, int64_t rows, int64_t experts, int64_t n,
                            int64_t k);

}  // namespace moge
