// Milliseconds, GFLOP/s and share of the register-only fp32 peak of attention, in one process:
//   attention_bench [threads] [isa]
// Operations counted: causal pairs only, 4 C per pair forward, 10 C backward (recompute included).
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "moge/core/rng.h"
#include "moge/ops/attention.h"
#include "moge/ops/loss.h"
#include "moge/ops/peaks.h"

using namespace moge;

namespace {

double seconds_of(const auto& run) {
  double best = 1e9;
  for (int rep = 0; rep < 40; ++rep) {
    const auto start = std::chrono::steady_clock::now();
    run();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

void fill(Buffer& buffer, DType dtype, int64_t n) {
  const Rng rng(1, "bench");
  for (int64_t i = 0; i < n; ++i) {
    const float x = rng.normal_at(static_cast<uint64_t>(i));
    if (dtype == DType::kF32)
      buffer.as<float>()[i] = x;
    else
      buffer.as<BFloat16>()[i] = BFloat16(x);
  }
}

struct Shape {
  const char* name;
  int64_t H, N, C, T, S;
};

struct Bench {
  ThreadPool& pool;
  const kernels::Table& table;
  double peak_gflops;

  /// The peak is measured again beside every row, the larger counts: others may use the machine.
  void row(const char* what, const char* dtype, double seconds, double flops) {
    peak_gflops = std::max(peak_gflops, measure_compute(pool, table.peak, 1).fp32_gflops);
    const double gflops = flops / seconds * 1e-9;
    std::printf("%-28s %-5s %9.3f ms %8.1f GF/s %5.1f %%\n", what, dtype, seconds * 1e3, gflops,
                100 * gflops / peak_gflops);
  }

  void training(const Shape& s, DType dtype) {
    const int64_t tokens = s.S * s.T, width = (s.H + 2 * s.N) * s.C;
    Arena none(64);
    const Context sizes{pool, table, none};
    Arena scratch(attention_scratch_bytes(sizes, tokens, s.H, s.N, s.C));
    const Context context{pool, table, scratch};
    Buffer qkv(tokens * width * 4), dqkv(tokens * width * 4), out(tokens * s.H * s.C * 4),
        dout(tokens * s.H * s.C * 4), lse(tokens * s.H * 4);
    fill(qkv, dtype, tokens * width);
    fill(dout, dtype, tokens * s.H * s.C);
    std::vector<int32_t> offsets(s.S + 1);
    for (int64_t i = 0; i <= s.S; ++i) offsets[i] = static_cast<int32_t>(i * s.T);
    const auto part = [&](Buffer& b, int64_t begin, int64_t heads) {
      return Tensor(b.data(), dtype, {tokens, width})
          .cols(begin * s.C, (begin + heads) * s.C)
          .split_last(s.C);
    };
    const Tensor o(out.data(), dtype, {tokens, s.H, s.C}),
        g(dout.data(), dtype, {tokens, s.H, s.C});
    const Tensor l(lse.data(), DType::kF32, {tokens, s.H});
    const AttentionOptions options{.scale = 1 / std::sqrt(static_cast<float>(s.C))};
    const double pairs = static_cast<double>(s.S * s.H) * static_cast<double>(s.T) *
                         static_cast<double>(s.T + 1) / 2 * static_cast<double>(s.C);
    const char* type = dtype == DType::kF32 ? "fp32" : "bf16";
    const double forward = seconds_of([&] {
      attention_forward(context, part(qkv, 0, s.H), part(qkv, s.H, s.N), part(qkv, s.H + s.N, s.N),
                        offsets, options, o, l);
    });
    row((std::string(s.name) + " forward").c_str(), type, forward, 4 * pairs);
    const double backward = seconds_of([&] {
      attention_backward(context, part(qkv, 0, s.H), part(qkv, s.H, s.N), part(qkv, s.H + s.N, s.N),
                         o, l, g, offsets, options, part(dqkv, 0, s.H), part(dqkv, s.H, s.N),
                         part(dqkv, s.H + s.N, s.N));
    });
    row((std::string(s.name) + " backward").c_str(), type, backward, 10 * pairs);
  }

  void loss(int64_t T, int64_t V) const {
    Buffer logits(T * V * 4), keep(T * V * 4), loss(T * 4), lse(T * 4), mask(T * 4), targets(T * 4);
    fill(logits, DType::kF32, T * V);
    for (int64_t t = 0; t < T; ++t) mask.as<float>()[t] = 1;
    Arena none(64);
    const Context context{pool, table, none};
    const auto vector = [&](Buffer& b, DType d) { return Tensor(b.data(), d, {T}); };
    const double seconds = seconds_of([&] {
      cross_entropy_forward_backward(context, Tensor(logits.data(), DType::kF32, {T, V}),
                                     vector(targets, DType::kI32), vector(mask, DType::kF32), 1, 0,
                                     vector(loss, DType::kF32), vector(lse, DType::kF32), {});
    });
    std::printf("cross-entropy %6ld x %-7ld fp32 %9.3f ms %8.2f ns per 1000 logits\n", T, V,
                seconds * 1e3, seconds * 1e12 / static_cast<double>(T * V));
  }
};

}  // namespace

int main(int argc, char** argv) {
  ThreadPool pool(argc > 1 ? std::atoi(argv[1]) : available_cores());
  const kernels::Table& table = kernels::choose_table(argc > 2 ? argv[2] : "");
  const double peak = measure_compute(pool, table.peak).fp32_gflops;
  std::printf("isa %s, %d threads, fp32 peak %.1f GF/s\n", table.isa, pool.num_threads(), peak);
  Bench bench{pool, table, peak};
  const Shape tiny{"tiny", 6, 2, 32, 256, 8}, small{"small", 8, 4, 64, 512, 8},
      pangu{"pangu", 20, 4, 128, 512, 1};
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    bench.training(tiny, dtype);
    bench.training(small, dtype);
  }
  bench.loss(2048, 1024);
  bench.loss(512, 4096);
  bench.loss(16, 153376);
}
