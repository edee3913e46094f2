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

  /// `batch` sequences of `cached` positions, `fresh` new rows each.
  void paged(const Shape& s, DType dtype, int64_t batch, int64_t cached, int64_t fresh) {
    const int64_t P = 32, pages_each = (cached + fresh + P - 1) / P, pages = batch * pages_each;
    Buffer k(pages * P * s.N * s.C * 4), v(pages * P * s.N * s.C * 4);
    fill(k, dtype, pages * P * s.N * s.C);
    fill(v, dtype, pages * P * s.N * s.C);
    std::vector<int32_t> table_of_pages(pages);
    std::iota(table_of_pages.begin(), table_of_pages.end(), 0);
    std::vector<SequenceSlice> slices;
    for (int64_t b = 0; b < batch; ++b)
      slices.push_back({b * fresh, fresh, cached,
                        std::span(table_of_pages).subspan(b * pages_each, pages_each)});
    Buffer q(batch * fresh * s.H * s.C * 4), out(batch * fresh * s.H * s.C * 4);
    fill(q, DType::kF32, batch * fresh * s.H * s.C);
    Arena none(64);
    Arena scratch(attention_scratch_bytes({pool, table, none}, batch * fresh, s.H, s.N, s.C));
    const Context context{pool, table, scratch};
    const PagedKv cache{k.data(), v.data(), dtype, P, s.N, s.C};
    const double seconds = seconds_of([&] {
      paged_attention(context, Tensor(q.data(), DType::kF32, {batch * fresh, s.H, s.C}), slices,
                      cache, {.scale = 0.1f},
                      Tensor(out.data(), DType::kF32, {batch * fresh, s.H, s.C}));
    });
    const double keys = static_cast<double>(batch) *
                        (static_cast<double>(cached * fresh) +
                         static_cast<double>(fresh) * static_cast<double>(fresh + 1) / 2);
    const std::string name = std::string(s.name) + (fresh == 1 ? " decode " : " prefill ") +
                             std::to_string(batch) + "x" + std::to_string(cached + fresh);
    row(name.c_str(), dtype == DType::kF32 ? "fp32" : "bf16", seconds,
        4 * keys * static_cast<double>(s.H * s.C));
    const double bytes = 2.0 * static_cast<double>(batch * (cached + fresh) * s.N * s.C) *
                         static_cast<double>(size_of(dtype));
    std::printf("%61.1f GB/s\n", bytes / seconds * 1e-9);
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
    bench.paged(small, dtype, 1, 0, 512);
    bench.paged(small, dtype, 8, 511, 1);
    bench.paged(pangu, dtype, 8, 2047, 1);
  }
  bench.loss(2048, 1024);
  bench.loss(512, 4096);
  bench.loss(16, 153376);
}
