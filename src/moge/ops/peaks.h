// The machine's limits, measured: register-only peaks and read bandwidth of the chosen table.
// Benches and MFU are fractions of these.
#pragma once

#include <vector>

#include "moge/kernels/table.h"
#include "moge/runtime/arena.h"
#include "moge/runtime/thread_pool.h"
#include "moge/tensor/tensor.h"

namespace moge {

/// Operations per second, all threads of the pool together, in units of 1e9.
struct ComputePeaks {
  double fp32_gflops = 0;
  double bf16_gflops = 0;
  double int8_gops = 0;
};

/// Best of all loop shapes and of `rounds` tries of about 20 ms each.
ComputePeaks measure_compute(ThreadPool& threads, const kernels::PeakKernels& peak, int rounds = 4);

/// The fp32, bf16 or int8 (kI8) peak alone, in GFLOP/s (Gop/s).
double measure_gflops(ThreadPool& threads, const kernels::PeakKernels& peak, DType dtype,
                      int rounds = 4);

/// Memory to read from, in huge pages and already touched.
class ReadBuffer {
 public:
  /// At least 1 GiB and 4 last-level caches; less, but at least 64 MiB, where memory is short.
  explicit ReadBuffer(ThreadPool& threads);
  explicit ReadBuffer(ThreadPool& threads, size_t bytes);
  const char* data() const { return buffer_.data(); }
  size_t size() const { return buffer_.size(); }

 private:
  void touch(ThreadPool& threads);
  Buffer buffer_;
};

/// GB/s (1e9) of all threads of the pool together: the best read loop, best of `rounds`.
double measure_read(ThreadPool& threads, const kernels::PeakKernels& peak, const ReadBuffer& buffer,
                    int rounds = 3);

}  // namespace moge
