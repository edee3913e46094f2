#include "moge/ops/peaks.h"

#include <gtest/gtest.h>

#include "moge/core/error.h"

namespace moge {
namespace {

// Every loop of every table runs and counts its operations; speeds are judged by `moge doctor`.
TEST(Peaks, EveryTableMeasures) {
  ThreadPool threads(2);
  for (const kernels::Table* table : kernels::available_tables()) {
    const ComputePeaks peaks = measure_compute(threads, table->peak, /*rounds=*/0);
    EXPECT_EQ(peaks.fp32_gflops, 0) << table->isa;
    alignas(64) char sink[64];
    for (int shape = 0; shape < kernels::PeakKernels::kShapes; ++shape)
      for (const auto& loops : {table->peak.f32, table->peak.bf16, table->peak.int8}) {
        EXPECT_GT(loops[shape].ops_per_iteration, 0) << table->isa;
        loops[shape].run(3, sink);
      }
  }
}

TEST(Peaks, OneTypeAlone) {
  ThreadPool threads(1);
  const auto& peak = kernels::available_tables().front()->peak;
  EXPECT_GT(measure_gflops(threads, peak, DType::kF32, 1), 0);
  EXPECT_GT(measure_gflops(threads, peak, DType::kBF16, 1), 0);
  EXPECT_GT(measure_gflops(threads, peak, DType::kI8, 1), 0);
  EXPECT_THROW(measure_gflops(threads, peak, DType::kI32, 1), Error);
}

TEST(Peaks, ReadLoopsSeeEveryByte) {
  ThreadPool threads(2);
  const ReadBuffer buffer(threads, size_t{1} << 20);
  auto* data = const_cast<char*>(buffer.data());
  for (const kernels::Table* table : kernels::available_tables())
    for (auto* read : table->peak.read)
      for (const size_t at : {size_t{0}, size_t{4095}, size_t{8192 + 77}, size_t{16383}}) {
        const int64_t before = read(data, 16384);
        data[at] = static_cast<char>(0x80);
        EXPECT_NE(read(data, 16384), before) << table->isa << " byte " << at;
        data[at] = 1;
      }
}

TEST(Peaks, ReadBandwidthIsMeasured) {
  ThreadPool threads(2);
  const ReadBuffer buffer(threads, size_t{4} << 20);
  EXPECT_GT(measure_read(threads, kernels::available_tables().front()->peak, buffer, 1), 0);
  const ReadBuffer tiny(threads, 4096);
  EXPECT_THROW(measure_read(threads, kernels::available_tables().front()->peak, tiny), Error);
}

}  // namespace
}  // namespace moge
