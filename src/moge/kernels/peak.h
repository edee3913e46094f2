// What one core can do at most: loops over registers only, and loops that only read memory. The
// measure beside which benches put every other kernel (ops/peaks.h runs them on all threads).
#pragma once

#include <cstddef>
#include <cstdint>

namespace moge::kernels {

/// One register-only loop of the widest multiply-add instruction of its type.
struct PeakLoop {
  void (*run)(int64_t iterations, void* sink) noexcept;  ///< sink: 64 bytes, written at the end
  int64_t ops_per_iteration;                             ///< multiplications plus additions
};

// Several shapes each (numbers of independent accumulators): which one is best depends on the
// instruction's latency and on how many ports take it.
struct PeakKernels {
  static constexpr int kShapes = 4;
  PeakLoop f32[kShapes];
  PeakLoop bf16[kShapes];  ///< pairs of bf16 summed in fp32, or widened bf16 through fp32 FMA
  PeakLoop int8[kShapes];  ///< u8 x s8 summed in int32
  /// Reads `bytes` (a multiple of 4096, 64-byte aligned) once; returns a digest of what it read.
  int64_t (*read[3])(const char* data, size_t bytes) noexcept;
};

}  // namespace moge::kernels
