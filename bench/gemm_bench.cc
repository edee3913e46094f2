// Matrix products of the training shapes: GF/s, share of the register-only peak and speed-up over
// the specification (kernels/ref). Medians of several runs, each set against the peak right before
// and after it: clock and neighbours change all the time.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "moge/kernels/ref/gemm.h"
#include "moge/ops/linear.h"

namespace {

using namespace moge;

struct Shape {
  const char* name;
  int64_t experts, rows_per_expert, n, k;
};

const std::vector<Shape> kShapes = {
    {"small qkv/shared up", 1, 4096, 1024, 512},
    {"small attention out", 1, 4096, 512, 512},
    {"small logits", 1, 4096, 4096, 512},
    {"small shared down", 1, 4096, 512, 512},
    {"small experts up", 64, 512, 256, 512},
    {"small experts down", 64, 512, 512, 128},
    {"tiny qkv", 1, 2048, 320, 192},
    {"tiny attention out", 1, 2048, 192, 192},
    {"tiny logits", 1, 2048, 1024, 192},
    {"tiny experts up", 16, 512, 192, 192},
    {"tiny experts down", 16, 512, 192, 96},
    {"K of 1024", 1, 2048, 512, 1024},
    {"K of 2560", 1, 1024, 512, 2560},
    {"decode, dense", 1, 1, 2560, 2560},
    {"decode, 4 rows", 1, 4, 2560, 2560},
};

/// Wall time of all threads, or the CPU time of the one thread (--cpu-time): that leaves out the
/// moments in which other programs had the core.
struct Clock {
  bool cpu_time = false;

  double now() const {
    timespec t;
    clock_gettime(cpu_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  }
  double seconds_of(const auto& work) const {
    const double start = now();
    work();
    return now() - start;
  }
};

/// Register-only multiply-adds, run between the products: both see the same clock and neighbours.
class Peak {
 public:
  Peak(ThreadPool& threads, const kernels::PeakLoop* loops, const Clock& clock)
      : threads_(threads), clock_(clock) {
    double best = 0;
    for (int shape = 0; shape < kernels::PeakKernels::kShapes * 3; ++shape) {
      const auto* loop = &loops[shape % kernels::PeakKernels::kShapes];
      const double speed = gflops(*loop);
      if (speed > best) best = speed, best_ = loop;
    }
  }
  double gflops() const { return gflops(*best_); }

 private:
  static constexpr double kFlops = 3e7;  // per thread: about half a millisecond

  double gflops(const kernels::PeakLoop& loop) const {
    const auto ops = static_cast<double>(loop.ops_per_iteration);
    const auto iterations = static_cast<int64_t>(kFlops / ops);
    const double seconds = clock_.seconds_of([&] {
      threads_.parallel_for(threads_.num_threads(), [&](int64_t, int) {
        alignas(64) char sink[64];
        loop.run(iterations, sink);
      });
    });
    return 1e-9 * ops * static_cast<double>(iterations * threads_.num_threads()) / seconds;
  }

  ThreadPool& threads_;
  const Clock& clock_;
  const kernels::PeakLoop* best_ = nullptr;
};

/// Memory for one shape in one type, filled with numbers of a normal size.
struct Operands {
  Buffer x, w, packed, y, dx, dw;
  std::vector<int32_t> offsets;

  Operands(const Context& context, const Shape& s, DType dtype) {
    const int64_t rows = s.experts * s.rows_per_expert, element = size_of(dtype);
    x = Buffer(rows * s.k * element);
    w = Buffer(s.experts * s.n * s.k * element);
    packed = Buffer(packed_bytes(context.kernels, dtype, s.experts, s.n, s.k));
    y = Buffer(rows * s.n * 4);
    dx = Buffer(rows * s.k * 4);
    dw = Buffer(s.experts * s.n * s.k * 4);
    for (int64_t e = 0; e <= s.experts; ++e)
      offsets.push_back(static_cast<int32_t>(e * s.rows_per_expert));
    fill(x, dtype, 1);
    fill(w, dtype, 2);
    fill(y, dtype, 3);
  }
  static void fill(Buffer& buffer, DType dtype, uint64_t seed) {
    std::minstd_rand rng(static_cast<unsigned>(seed));
    for (size_t i = 0; i < buffer.size() / size_of(dtype); ++i) {
      const float value = static_cast<float>(rng()) / static_cast<float>(rng.max()) - 0.5f;
      if (dtype == DType::kBF16)
        buffer.as<BFloat16>()[i] = BFloat16(value);
      else
        buffer.as<float>()[i] = value;
    }
  }
};

/// GF/s of the specification, measured on few rows.
double reference_gflops(const Clock& clock, const Shape& s) {
  const int64_t rows = 2;
  std::vector<float> x(rows * s.k, 0.5f), w(s.n * s.k, 0.25f), y(rows * s.n);
  const int32_t offsets[] = {0, static_cast<int32_t>(rows)};
  double best = 1e30;
  for (int i = 0; i < 5; ++i)
    best = std::min(best, clock.seconds_of([&] {
      ref::linear_forward<float>(x.data(), w.data(), nullptr, offsets, 1, s.n, s.k, y.data());
    }));
  return 2e-9 * static_cast<double>(rows * s.n * s.k) / best;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

struct Options {
  std::string isa, shape, form, dtype;
  int threads = 0, repeats = 15;
  bool cpu_time = false;
};

struct Bench {
  const Context& context;
  const Options& options;
  const Clock& clock;
  const Peak& peak;

  void measure(const Shape& s, DType dtype) const;
  void report(const Shape& s, DType dtype, const char* form, const auto& work) const;
};

void Bench::report(const Shape& s, DType dtype, const char* form, const auto& work) const {
  if (std::string(form).find(options.form) == std::string::npos) return;
  const auto elements = static_cast<double>(s.experts * s.n * s.k);
  const double flops = 2e-9 * elements * static_cast<double>(s.rows_per_expert);
  std::vector<double> seconds, percent;
  for (double before = peak.gflops(); static_cast<int>(seconds.size()) < options.repeats;) {
    seconds.push_back(clock.seconds_of(work));
    const double after = peak.gflops();
    percent.push_back(100 * flops / seconds.back() / std::max(before, after));
    before = after;
  }
  const double gflops = flops / median(seconds);
  std::printf(
      "%-20s %3ld x %4ld x %4ld x %4ld  %s %-8s %9.1f us %6.1f GF/s %5.1f %% %6.1f GB/s %4.0f x\n",
      s.name, s.experts, s.rows_per_expert, s.n, s.k, dtype == DType::kBF16 ? "bf16" : "fp32", form,
      1e6 * median(seconds), gflops, median(percent),
      1e-9 * elements * static_cast<double>(size_of(dtype)) / median(seconds),
      gflops / reference_gflops(clock, s));
  std::fflush(stdout);
}

void Bench::measure(const Shape& s, DType dtype) const {
  Operands o(context, s, dtype);
  const int64_t rows = s.experts * s.rows_per_expert;
  const Tensor x_RK(o.x.data(), dtype, {rows, s.k}),
      w_ENK(o.w.data(), dtype, {s.experts, s.n, s.k});
  const Tensor dy_RN(o.y.data(), dtype, {rows, s.n});
  const Tensor y_RN(o.y.data(), DType::kF32, {rows, s.n});
  const Tensor dx_RK(o.dx.data(), DType::kF32, {rows, s.k});
  const Tensor dw_ENK(o.dw.data(), DType::kF32, {s.experts, s.n, s.k});
  const Weight w = Weight::grouped(w_ENK);
  const Weight packed = pack_weight(context, w, dtype, o.packed.data());
  report(s, dtype, "packed", [&] { linear_forward(context, x_RK, packed, o.offsets, {}, y_RN); });
  if (s.rows_per_expert < 16) return;
  report(s, dtype, "forward", [&] { linear_forward(context, x_RK, w, o.offsets, {}, y_RN); });
  report(s, dtype, "eighths",
         [&] { linear_forward(context, x_RK, w, o.offsets, {}, y_RN, {.sum_in_eighths = true}); });
  report(s, dtype, "input", [&] { linear_backward_input(context, dy_RN, w, o.offsets, dx_RK); });
  report(s, dtype, "weight",
         [&] { linear_backward_weight(context, dy_RN, x_RK, o.offsets, dw_ENK, {}); });
}

void run(const Options& options) {
  ThreadPool threads(options.threads ? options.threads : available_cores());
  const kernels::Table& table = kernels::choose_table(options.isa);
  Arena scratch(size_t{256} << 20, "scratch");
  const Context context{threads, table, scratch};
  const Clock clock{options.cpu_time};
  std::printf("%s, %d threads\n", table.isa, threads.num_threads());
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    if (std::string(name_of(dtype)).find(options.dtype) == std::string::npos) continue;
    const Peak peak(threads, dtype == DType::kF32 ? table.peak.f32 : table.peak.bf16, clock);
    const Bench bench{context, options, clock, peak};
    for (const Shape& s : kShapes)
      if (std::string(s.name).find(options.shape) != std::string::npos) bench.measure(s, dtype);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Speed of the matrix products");
  Options options;
  app.add_option("--isa", options.isa, "Instruction set (default: best)");
  app.add_option("--threads", options.threads, "Threads (default: all cores)");
  app.add_option("--shape", options.shape, "Shapes whose name contains this");
  app.add_option("--form", options.form, "Forms whose name contains this");
  app.add_option("--dtype", options.dtype, "float32 or bfloat16 (default: both)");
  app.add_option("--repeats", options.repeats, "Runs of each, the median counts")
      ->capture_default_str();
  app.add_flag("--cpu-time", options.cpu_time, "CPU time of one thread instead of wall time");
  CLI11_PARSE(app, argc, argv);
  if (options.cpu_time) options.threads = 1;
  run(options);
}
