// What every linear op checks of its operands.
#pragma once

#include <algorithm>
#include <array>
#include <limits>

#include "moge/ops/linear.h"

namespace moge {

inline constexpr int64_t kMaxLinearSize = std::numeric_limits<int32_t>::max();

/// Offsets of the groups, one group of all rows where none are given.
class GroupOffsets {
 public:
  GroupOffsets(const char* op, Groups groups, int64_t experts, int64_t rows)
      : single_{0, static_cast<int32_t>(rows)}, groups_(groups) {
    check(rows <= kMaxLinearSize, "[{}] {} rows, at most {} are possible", op, rows,
          kMaxLinearSize);
    if (groups.empty()) {
      check(experts == 1, "[{}] {} experts but no groups of rows", op, experts);
      groups_ = single_;
      return;
    }
    check(static_cast<int64_t>(groups.size()) == experts + 1,
          "[{}] groups have {} offsets, want {} for {} experts", op, groups.size(), experts + 1,
          experts);
    for (size_t e = 0; e + 1 < groups.size(); ++e)
      check(groups[e] <= groups[e + 1], "[{}] offset {} of group {} is above the next one, {}", op,
            groups[e], e, groups[e + 1]);
    check(groups.front() == 0 && groups.back() == rows,
          "[{}] groups cover rows {} to {}, want 0 to {}", op, groups.front(), groups.back(), rows);
  }
  GroupOffsets(const GroupOffsets&) = delete;
  operator Groups() const { return groups_; }

 private:
  std::array<int32_t, 2> single_;
  Groups groups_;
};

inline void check_is_float(const char* op, const char* what, DType dtype) {
  check(dtype == DType::kF32 || dtype == DType::kBF16, "[{}] {} is {}, want float32 or bfloat16",
        op, what, name_of(dtype));
}

inline void check_matrix(const char* op, const char* what, const Tensor& tensor, int64_t rows,
                         int64_t columns) {
  check(tensor.rank == 2 && tensor.dim(0) == rows && tensor.dim(1) == columns,
        "[{}] {} is {}, want [{}, {}]", op, what, tensor, rows, columns);
  check_is_float(op, what, tensor.dtype);
}

inline void check_bias(const char* op, const char* what, const Tensor& bias_N, int64_t n) {
  if (bias_N)
    check(bias_N.rank == 1 && bias_N.dim(0) == n && bias_N.dtype == DType::kF32,
          "[{}] {} is {}, want float32 [{}]", op, what, bias_N, n);
}

inline void check_weight(const char* op, const Weight& weight, const Tensor& input) {
  check(weight.experts >= 1 && std::max(weight.n, weight.k) <= kMaxLinearSize,
        "[{}] weight of {} experts, {} x {} is out of range", op, weight.experts, weight.n,
        weight.k);
  check_is_float(op, "weight", weight.dtype);
  check(input.dtype == weight.dtype, "[{}] input is {}, want the weight's {}", op,
        name_of(input.dtype), name_of(weight.dtype));
}

/// Into how many parts the sum over K is cut.
inline int sum_parts(const char* op, const LinearOptions& options) {
  const int slices = options.k_slices;
  check(slices == 1 || slices == 2 || slices == 4 || slices == 8,
        "[{}] K cut into {} slices, want 1, 2, 4 or 8", op, slices);
  return options.sum_in_eighths ? 8 / slices : 1;
}

}  // namespace moge
