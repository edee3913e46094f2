// Moving rows between token order and expert order, and the weighted sum over a token's experts.
#pragma once

#include "moge/kernels/rows.h"

namespace moge::kernels {

struct PermuteForward {
  Rows x;
  const int32_t* token_of_R;
  MutableRows rows;
  int64_t R, row_bytes;
  int element_bytes;
};
/// y = or += sum over the K slots of weight * row. Inside each of G groups in slot order, then
/// pairwise over the groups: neighbours are added, an odd last one moves up, until one is left.
struct CombineForward {
  Rows rows;
  const int32_t* row_of_TK;
  const float* weights_TK;  ///< null: all 1
  bool accumulate;
  MutableRows y;  ///< fp32
  int64_t T, D;
  int K, G;
};
struct CombineBackward {
  Rows dy, rows;
  const int32_t* row_of_TK;
  const float* weights_TK;
  MutableRows drows;
  float* dweights_TK;
  int64_t T, D;
  int K;
};

struct PermuteKernels {
  void (*forward)(const PermuteForward&) noexcept;
  void (*combine_forward[2])(const CombineForward&) noexcept;          ///< [rows]
  void (*combine_backward[2][2][2])(const CombineBackward&) noexcept;  ///< [dy][rows][drows]
};

}  // namespace moge::kernels
