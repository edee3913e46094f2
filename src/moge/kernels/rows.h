// How kernels see strided rows, and the order of their type tables.
#pragma once

#include <cstdint>

namespace moge::kernels {

/// Rows of a [T, H, C] view (a [T, C] view has H = 1): row (t, h) starts at element
/// t * stride_T + h * stride_H. Strides in elements.
struct Rows {
  const void* data;
  int64_t stride_T, stride_H;
};
struct MutableRows {
  void* data;
  int64_t stride_T, stride_H;
};

/// Position of a type in a kernel's table of types: [kFp32] or [kBf16].
enum TypeIndex { kFp32 = 0, kBf16 = 1 };

}  // namespace moge::kernels
