// moge bench attention: decoding and prefill over a paged cache that comes from memory, as
// fractions of the machine's limits, and beside the unfused forms.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "bench_options.h"
#include "cli.h"
#include "commands.h"
#include "eager_attention.h"
#include "format_option.h"
#include "median.h"
#include "moge/core/error.h"
#include "moge/core/rng.h"
#include "moge/ops/attention_paged.h"
#include "moge/ops/linear.h"
#include "moge/ops/peaks.h"
#include "moge/runtime/topology.h"

namespace moge {

namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

struct BenchAttentionOptions {
  std::string phase = "all";
  std::vector<std::string> shapes = {"1x4096", "8x4096", "32x1024"}, kv_dtypes = {"bf16", "int8"};
  int64_t prefill = 2048, heads = 40, kv_heads = 8, head_dim = 128, page_tokens = 32;
  double seconds = 1.0;
  bool no_eager = false;

  void visit(FieldList& v) {
    v("phase", phase, "what to measure").one_of({"all", "decode", "prefill"});
    v("shapes", shapes, "of decoding: sequences x positions").called("BxT");
    v("kv-dtypes", kv_dtypes, "formats of the cache").one_of({"fp32", "bf16", "int8"});
    v("prefill", prefill, "tokens of the prompt").between(16, 1 << 16);
    v("heads", heads, "query heads").at_least(1);
    v("kv-heads", kv_heads, "key-value heads").at_least(1);
    v("head-dim", head_dim, "elements of a head, a multiple of 16").between(16, 512);
    v("block-size", page_tokens, "tokens of a KV page, a multiple of 16").between(16, 256);
    v("seconds", seconds, "of measuring each row; medians are reported").between(0.05, 60);
    v("no-eager", no_eager, "leave the unfused forms out");
  }
};

/// Median seconds of a call; at least five are made.
template <class Call>
double median_seconds(double budget, Call call) {
  call();
  std::vector<double> took;
  const auto begin = Clock::now();
  while (took.size() < 5 || std::chrono::duration<double>(Clock::now() - begin).count() < budget) {
    const auto start = Clock::now();
    call();
    took.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  return median(std::move(took));
}

/// Of a name that --kv-dtypes allows.
DType dtype_of(const std::string& name) { return kv_dtype_of(name, DType::kBF16); }

AttentionShape shape_of(const BenchAttentionOptions& o, int64_t batch, int64_t context) {
  if (batch > 4096 || context < 16 || context % 16 != 0)
    throw UsageError(
        fmt::format("--shapes has {}x{}, want at most 4096 sequences of positions "
                    "that are a multiple of 16",
                    batch, context));
  return {.batch = batch,
          .context = context,
          .heads = o.heads,
          .kv_heads = o.kv_heads,
          .head_dim = o.head_dim};
}

/// bytes = a block of numbers over and over: small ones, whatever type they are read as.
void fill_bf16(ThreadPool& threads, Buffer& buffer, DType dtype) {
  constexpr size_t kBlock = 1 << 16;
  std::vector<char> block(kBlock);
  const Rng rng(1, "bench attention");
  for (size_t i = 0; i < kBlock / 4; ++i) {
    const float x = rng.normal_at(i);
    if (dtype == DType::kF32) {
      std::memcpy(block.data() + 4 * i, &x, 4);
    } else {
      const BFloat16 pair[2] = {BFloat16(x), BFloat16(0.5f - x)};
      std::memcpy(block.data() + 4 * i, pair, 4);
    }
  }
  const auto blocks = static_cast<int64_t>((buffer.size() + kBlock - 1) / kBlock);
  threads.parallel_for(blocks, [&](int64_t i, int) {
    const size_t at = static_cast<size_t>(i) * kBlock;
    std::memcpy(buffer.data() + at, block.data(), std::min(kBlock, buffer.size() - at));
  });
}

/// Several caches of the shape's sequences, 4 last-level caches or more together, read in turn.
class CycledCache {
 public:
  CycledCache(const Context& context, const AttentionShape& shape, DType dtype, int64_t page_tokens)
      : shape_(shape) {
    kv_ = {nullptr, dtype, page_tokens, shape.kv_heads, shape.head_dim};
    pages_each_ = (shape.context + page_tokens - 1) / page_tokens;
    const int64_t bytes = shape.batch * pages_each_ * kv_.page_bytes();
    const int64_t least = std::min(
        std::max(int64_t{1} << 30, 4 * topology().last_level_cache_bytes), memory_available() / 4);
    copies_ = std::max<int64_t>(2, (least + bytes - 1) / bytes);
    memory_ = Buffer(static_cast<size_t>(copies_ * bytes));
    kv_.data = memory_.data();
    fill(context);
    // Pages of a step's sequences lie interleaved, as they do when sequences grow side by side.
    for (int64_t copy = 0; copy < copies_; ++copy)
      for (int64_t s = 0; s < shape.batch; ++s)
        for (int64_t i = 0; i < pages_each_; ++i)
          table_.push_back(static_cast<int32_t>((copy * pages_each_ + i) * shape.batch + s));
  }

  const PagedKv& kv() const { return kv_; }
  /// The next cache's sequences with `fresh` rows each, which end at the shape's context.
  std::span<const SequenceSlice> next(int64_t fresh) {
    slices_.clear();
    for (int64_t s = 0; s < shape_.batch; ++s)
      slices_.push_back(
          {s * fresh, fresh, shape_.context - fresh,
           std::span(table_).subspan(static_cast<size_t>((now_ * shape_.batch + s) * pages_each_),
                                     static_cast<size_t>(pages_each_))});
    now_ = (now_ + 1) % copies_;
    return slices_;
  }

 private:
  /// fp32 and bf16: any words will do. int8: a page is written as an engine would, then copied.
  void fill(const Context& context) {
    if (kv_.dtype != DType::kI8) return fill_bf16(context.threads, memory_, kv_.dtype);
    const int64_t P = kv_.page_tokens, N = kv_.kv_heads, C = kv_.head_dim;
    Buffer rows(static_cast<size_t>(2 * P * N * C * 2));
    fill_bf16(context.threads, rows, DType::kBF16);
    const Tensor k_TNC(rows.data(), DType::kBF16, {P, N, C}),
        v_TNC(rows.data() + P * N * C * 2, DType::kBF16, {P, N, C});
    const int32_t page = 0;
    const SequenceSlice slice{0, P, 0, {&page, 1}};
    kv_write(context, k_TNC, v_TNC, {&slice, 1}, kv_);
    const auto bytes = static_cast<size_t>(kv_.page_bytes());
    context.threads.parallel_for(
        static_cast<int64_t>(memory_.size() / bytes) - 1, [&](int64_t i, int) {
          std::memcpy(memory_.data() + static_cast<size_t>(i + 1) * bytes, memory_.data(), bytes);
        });
  }

  AttentionShape shape_;
  PagedKv kv_;
  int64_t pages_each_ = 0, copies_ = 0, now_ = 0;
  Buffer memory_;
  std::vector<int32_t> table_;
  std::vector<SequenceSlice> slices_;
};

/// Seconds of one call of each form.
struct Times {
  double fused = 0, eager = 0, unfused = 0;
};

struct Row {
  bool prefill;
  AttentionShape shape;
  std::string kv_dtype;
  Times seconds;

  /// Pairs of a query and a key that it sees, two multiply-adds per channel each.
  double operations() const {
    const auto T = static_cast<double>(shape.context), B = static_cast<double>(shape.batch);
    const double pairs = prefill ? T * (T + 1) / 2 : T;
    return 4 * B * pairs * static_cast<double>(shape.heads * shape.head_dim);
  }
  /// Keys and values of all positions, scales included, once.
  double bytes() const {
    const DType dtype = dtype_of(kv_dtype);
    const int64_t scales = dtype == DType::kI8 ? 4 : 0;
    return 2.0 * static_cast<double>(shape.batch * shape.context * shape.kv_heads) *
           static_cast<double>(shape.head_dim * size_of(dtype) + scales);
  }
};

class Bench {
 public:
  Bench(BenchAttentionOptions& options, Run& run)
      : options_(options),
        run_(run),
        scratch_(scratch_bytes(), "scratch"),
        read_buffer_(run.pool()) {
    measure_limits();
  }

  void add(bool prefill, const AttentionShape& shape, const std::string& kv_dtype) {
    run_.detail(fmt::format("{} {}x{} {}", prefill ? "prefill" : "decode", shape.batch,
                            shape.context, kv_dtype));
    rows_.push_back({prefill, shape, kv_dtype, measure(prefill, shape, dtype_of(kv_dtype))});
  }

  /// What the limits are is measured before and after the rows; the larger counts.
  Json result() {
    measure_limits();
    Json list = Json::array();
    for (const Row& row : rows_) list.push_back(to_json(row));
    return {{"isa", run_.table().isa},
            {"threads", run_.num_threads()},
            {"read_gb_s", read_gb_s_},
            {"peak_gops", bf16_gflops_},
            {"rows", list}};
  }
  void check_limits(const Json& result) const {
    for (const Json& row : result["rows"]) {
      const std::string name =
          fmt::format("{} {}x{} {}", row["phase"].get<std::string>(), row["batch"].get<int64_t>(),
                      row["context"].get<int64_t>(), row["kv_dtype"].get<std::string>());
      check_share(name, "bf16 peak", row["percent_of_peak"].get<double>());
      check_share(name, "read bandwidth", row["percent_of_bandwidth"].get<double>());
    }
  }

 private:
  size_t scratch_bytes() {
    Arena none(64);
    const Context context{run_.pool(), run_.table(), none};
    const int64_t T = std::max<int64_t>(options_.prefill, 4096);
    return std::max(paged_attention_scratch_bytes(context, T, options_.head_dim),
                    linear_scratch_bytes(context, T, 1, T, T));
  }
  Context context() { return {run_.pool(), run_.table(), scratch_}; }

  void measure_limits() {
    read_gb_s_ = std::max(read_gb_s_, measure_read(run_.pool(), run_.table().peak, read_buffer_));
    bf16_gflops_ =
        std::max(bf16_gflops_, measure_gflops(run_.pool(), run_.table().peak, DType::kBF16));
  }

  Times measure(bool prefill, const AttentionShape& shape, DType kv_dtype) {
    const int64_t fresh = prefill ? shape.context : 1, rows = shape.batch * fresh;
    // Rows are bf16 over a bf16 or int8 cache, fp32 over an fp32 cache, as in a model.
    const DType dtype = kv_dtype == DType::kF32 ? DType::kF32 : DType::kBF16;
    const auto bytes = static_cast<size_t>(rows * shape.heads * shape.head_dim * size_of(dtype));
    Times times;
    {
      Buffer q(bytes), out(bytes);
      fill_bf16(run_.pool(), q, dtype);
      CycledCache cache(context(), shape, kv_dtype, options_.page_tokens);
      const Tensor q_THC(q.data(), dtype, {rows, shape.heads, shape.head_dim}),
          out_THC(out.data(), dtype, {rows, shape.heads, shape.head_dim});
      const AttentionOptions scale{.scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim))};
      times.fused = median_seconds(options_.seconds, [&] {
        paged_attention(context(), q_THC, cache.next(fresh), cache.kv(), scale, out_THC);
      });
    }
    if (options_.no_eager) return times;
    EagerAttention eager(shape, dtype, fresh);
    Buffer kv(static_cast<size_t>(2 * shape.kv_elements() * size_of(dtype)));
    fill_bf16(run_.pool(), kv, dtype);
    const char* v = kv.data() + kv.size() / 2;
    const auto form = [&](bool repeat) {
      return median_seconds(options_.seconds / 2, [&] {
        prefill ? eager.prefill(context(), kv.data(), v, repeat)
                : eager.decode(context(), kv.data(), v, repeat);
      });
    };
    times.eager = form(/*repeat=*/true);
    times.unfused = form(/*repeat=*/false);
    return times;
  }

  Json to_json(const Row& row) const {
    const double gops = row.operations() / row.seconds.fused / 1e9;
    const double gb_s = row.bytes() / row.seconds.fused / 1e9;
    const auto speedup = [&](double seconds) {
      return seconds > 0 ? Json(seconds / row.seconds.fused) : Json();
    };
    return {{"phase", row.prefill ? "prefill" : "decode"},
            {"batch", row.shape.batch},
            {"context", row.shape.context},
            {"heads", row.shape.heads},
            {"kv_heads", row.shape.kv_heads},
            {"head_dim", row.shape.head_dim},
            {"kv_dtype", row.kv_dtype},
            {"ms", row.seconds.fused * 1e3},
            {"gops", gops},
            {"gb_s", gb_s},
            {"percent_of_peak", 100 * gops / bf16_gflops_},
            {"percent_of_bandwidth", 100 * gb_s / read_gb_s_},
            {"speedup_over_eager", speedup(row.seconds.eager)},
            {"speedup_over_unfused", speedup(row.seconds.unfused)}};
  }

  BenchAttentionOptions& options_;
  Run& run_;
  Arena scratch_;
  ReadBuffer read_buffer_;
  double read_gb_s_ = 0, bf16_gflops_ = 0;
  std::vector<Row> rows_;
};

void print_table(const Json& result, Run& run) {
  run.out(fmt::format("{} on {} threads; reads {:.1f} GB/s, bf16 peak {:.0f} Gop/s\n",
                      result["isa"].get<std::string>(), result["threads"].get<int>(),
                      result["read_gb_s"].get<double>(), result["peak_gops"].get<double>()));
  run.out(
      "phase    batch x context  heads     kv       ms     GB/s   %     Gop/s   %    eager  "
      "unfused\n");
  for (const Json& row : result["rows"]) {
    const auto number = [&row](const char* name) {
      return row[name].is_null() ? 0.0 : row[name].get<double>();
    };
    run.out(fmt::format(
        "{:<8} {:>5} x {:<7} {:>3}/{:<2}x{:<4} {:<5}{:>9.3f} {:>7.1f} {:>5.1f} {:>8.1f} {:>5.1f} "
        "{:>6.2f} {:>6.2f}\n",
        row["phase"].get<std::string>(), row["batch"].get<int64_t>(), row["context"].get<int64_t>(),
        row["heads"].get<int64_t>(), row["kv_heads"].get<int64_t>(), row["head_dim"].get<int64_t>(),
        row["kv_dtype"].get<std::string>(), number("ms"), number("gb_s"),
        number("percent_of_bandwidth"), number("gops"), number("percent_of_peak"),
        number("speedup_over_eager"), number("speedup_over_unfused")));
  }
}

void bench_attention(BenchAttentionOptions& options, Run& run) {
  if (options.heads % options.kv_heads != 0)
    throw UsageError(
        fmt::format("--heads {} is no multiple of --kv-heads {}", options.heads, options.kv_heads));
  if (options.head_dim % 16 != 0 || options.prefill % 16 != 0)
    throw UsageError("--head-dim and --prefill must be multiples of 16");
  std::vector<AttentionShape> shapes;
  for (const auto& [batch, context] : parse_shapes("shapes", options.shapes, "BxT"))
    shapes.push_back(shape_of(options, batch, context));
  Bench bench(options, run);
  for (const std::string& kv_dtype : options.kv_dtypes) {
    for (const AttentionShape& shape : shapes)
      if (options.phase != "prefill") bench.add(/*prefill=*/false, shape, kv_dtype);
    if (options.phase != "decode")
      bench.add(/*prefill=*/true, shape_of(options, 1, options.prefill), kv_dtype);
  }
  const Json result = bench.result();
  if (run.json())
    run.result(result);
  else
    print_table(result, run);
  bench.check_limits(result);
}

}  // namespace

void add_bench_attention(Cli& cli) {
  cli.add<BenchAttentionOptions>(
      "bench attention", "Speed of attention over a paged cache, and its limits", bench_attention);
}

}  // namespace moge
