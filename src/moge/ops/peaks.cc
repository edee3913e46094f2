#include "moge/ops/peaks.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>

#include "moge/core/error.h"
#include "moge/runtime/topology.h"

namespace moge {

namespace {

using Clock = std::chrono::steady_clock;
constexpr double kTrySeconds = 0.02;

/// Seconds from the first start to the last end of work(worker) on every thread at once. The tasks
/// wait for each other first, so that each of them has a thread of its own.
double time_together(ThreadPool& threads, const std::function<void(int64_t)>& work) {
  const int n = threads.num_threads();
  std::atomic<int> arrived{0};
  std::vector<Clock::time_point> begin(static_cast<size_t>(n)), end(static_cast<size_t>(n));
  threads.parallel_for(n, [&](int64_t task, int) {
    arrived.fetch_add(1);
    while (arrived.load(std::memory_order_acquire) < n) {
    }
    begin[static_cast<size_t>(task)] = Clock::now();
    work(task);
    end[static_cast<size_t>(task)] = Clock::now();
  });
  return std::chrono::duration<double>(*std::max_element(end.begin(), end.end()) -
                                       *std::min_element(begin.begin(), begin.end()))
      .count();
}

double giga_ops(ThreadPool& threads, const kernels::PeakLoop& loop, int64_t iterations) {
  const double seconds = time_together(threads, [&](int64_t) {
    alignas(64) char sink[64];
    loop.run(iterations, sink);
  });
  const double ops = static_cast<double>(loop.ops_per_iteration * iterations);
  return ops * threads.num_threads() / seconds * 1e-9;
}

double best_loop(ThreadPool& threads, const kernels::PeakLoop* loops, int rounds) {
  double best = 0;
  for (int shape = 0; shape < kernels::PeakKernels::kShapes; ++shape) {
    constexpr int64_t kTrial = 20000;
    const double trial = giga_ops(threads, loops[shape], kTrial);
    const double per_thread = trial / threads.num_threads();
    const auto iterations = static_cast<int64_t>(
        kTrySeconds * per_thread * 1e9 / static_cast<double>(loops[shape].ops_per_iteration));
    for (int round = 0; round < rounds; ++round)
      best = std::max(best, giga_ops(threads, loops[shape], std::max(iterations, kTrial)));
  }
  return best;
}

size_t bytes_to_read() {
  const int64_t want = std::max(int64_t{1} << 30, 4 * topology().last_level_cache_bytes);
  const int64_t quarter = memory_available() / 4;
  const int64_t bytes = std::clamp(quarter, int64_t{64} << 20, want);
  return static_cast<size_t>(bytes >> 21 << 21);
}

}  // namespace

ComputePeaks measure_compute(ThreadPool& threads, const kernels::PeakKernels& peak, int rounds) {
  return {.fp32_gflops = best_loop(threads, peak.f32, rounds),
          .bf16_gflops = best_loop(threads, peak.bf16, rounds),
          .int8_gops = best_loop(threads, peak.int8, rounds)};
}

double measure_gflops(ThreadPool& threads, const kernels::PeakKernels& peak, DType dtype,
                      int rounds) {
  check(dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kI8,
        "[peaks] no peak of {} is measured", name_of(dtype));
  const auto* loops = dtype == DType::kBF16 ? peak.bf16 : peak.f32;
  return best_loop(threads, dtype == DType::kI8 ? peak.int8 : loops, rounds);
}

ReadBuffer::ReadBuffer(ThreadPool& threads) : ReadBuffer(threads, bytes_to_read()) {}

ReadBuffer::ReadBuffer(ThreadPool& threads, size_t bytes) : buffer_(bytes) { touch(threads); }

void ReadBuffer::touch(ThreadPool& threads) {
  // Every page is written by the thread that reads it first, so that it lies in that thread's node.
  const size_t part = size() / static_cast<size_t>(threads.num_threads());
  threads.parallel_for(threads.num_threads(), [&](int64_t task, int) {
    std::memset(buffer_.data() + static_cast<size_t>(task) * part, 1, part);
  });
}

double measure_read(ThreadPool& threads, const kernels::PeakKernels& peak, const ReadBuffer& buffer,
                    int rounds) {
  const auto n = static_cast<size_t>(threads.num_threads());
  const size_t part = buffer.size() / n / 4096 * 4096;
  check(part > 0, "[peaks] {} bytes are too few for {} threads", buffer.size(), n);
  std::atomic<int64_t> digest{0};
  double best = 0;
  for (int round = 0; round < rounds; ++round)
    for (auto* read : peak.read) {
      const double seconds = time_together(threads, [&](int64_t task) {
        digest |= read(buffer.data() + static_cast<size_t>(task) * part, part);
      });
      best = std::max(best, static_cast<double>(part * n) / seconds * 1e-9);
    }
  check(digest.load() != 0, "[peaks] the read loops saw only zeros in {} bytes", buffer.size());
  return best;
}

}  // namespace moge
