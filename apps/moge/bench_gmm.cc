// moge bench gmm: grouped matrix products of inference, as fractions of the machine's limits. What
// is counted: the packed weights (with scales) of the experts touched, once; 2 N K operations a
// row.
#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "bench_options.h"
#include "cli.h"
#include "commands.h"
#include "median.h"
#include "moge/core/rng.h"
#include "moge/ops/linear.h"
#include "moge/ops/peaks.h"
#include "moge/runtime/topology.h"
#include "tiling_option.h"

namespace moge {

namespace {

using Json = nlohmann::ordered_json;

struct BenchGmmOptions {
  TilingOption tiling;
  bool tune = false;
  std::vector<std::string> formats = {"w8a8", "w4a8", "bf16", "fp32"};
  std::vector<std::string> shapes = {"2048x1024", "2560x768", "5120x1344"};
  std::vector<int64_t> rows = {1, 64, 512};
  int64_t experts = 64, active = 8;
  double seconds = 0.3;

  void visit(FieldList& v) {
    v("formats", formats, "of the weights").one_of({"w8a8", "w4a8", "bf16", "fp32"});
    v("shapes", shapes, "rows of K values times weights of N output channels").called("KxN");
    v("rows", rows, "rows of each active expert").between(1, 1 << 20);
    v("experts", experts, "of a layer").at_least(1);
    v("active", active, "experts of a layer that have rows in one call").at_least(1);
    tiling.visit(v);
    v("tune", tune, "measure the tile sizes of these shapes anew and remember them");
    v("seconds", seconds, "to measure each row of the table, at least").at_least(0.01);
  }
};

struct Shape {
  int64_t k = 0, n = 0;
};

/// A format with the peak it is measured against.
struct Format {
  std::string name;
  WeightFormat weights;
  DType dtype;  ///< of the activations
  DType peak;
};

Format find_format(const std::string& name) {
  for (const Format& f : {Format{"w8a8", WeightFormat::kW8A8, DType::kBF16, DType::kI8},
                          Format{"w4a8", WeightFormat::kW4A8, DType::kBF16, DType::kI8},
                          Format{"bf16", WeightFormat::kPacked, DType::kBF16, DType::kBF16},
                          Format{"fp32", WeightFormat::kPacked, DType::kF32, DType::kF32}})
    if (f.name == name) return f;
  fail("[bench gmm] no format is called '{}'", name);
}

/// Layers of random packed experts, at least 4 last-level caches of them.
class Weights {
 public:
  Weights(const Context& context, const Format& format, Shape shape, int64_t experts) {
    weight_ = {.format = format.weights,
               .dtype = format.dtype,
               .experts = experts,
               .n = shape.n,
               .k = shape.k};
    layer_bytes_ = packed_bytes(context.kernels, weight_);
    expert_bytes_ = layer_bytes_ / experts;
    const int64_t want = 4 * topology().last_level_cache_bytes;
    layers_ = std::max<int64_t>(1, (want + layer_bytes_ - 1) / layer_bytes_);
    memory_ = Buffer(static_cast<size_t>(layers_ * layer_bytes_));
    pack_first(context);
    context.threads.parallel_for(layers_ * experts - 1, [&](int64_t i, int) {
      std::copy_n(memory_.data(), expert_bytes_, memory_.data() + (i + 1) * expert_bytes_);
    });
  }

  /// Of all layers, as `options` say; remembered in `table`.
  void choose_tiles(const Context& context, TilingTable& table, const BenchGmmOptions& options,
                    int64_t most_rows) {
    Weight w = layer(0);
    if (options.tiling.frozen())
      table.assign(w);
    else
      tune(context, table, w, most_rows, options.tune);
    weight_.tiles = w.tiles;
  }
  TileSizes tiles(int64_t rows) const {
    return weight_.tiles[static_cast<size_t>(tile_bucket(rows))];
  }

  Weight layer(int64_t i) const {
    Weight w = weight_;
    w.data = memory_.data() + i % layers_ * layer_bytes_;
    return w;
  }
  int64_t layers() const { return layers_; }
  int64_t expert_bytes() const { return expert_bytes_; }

 private:
  void pack_first(const Context& context) {
    const int64_t n = weight_.n, k = weight_.k;
    Weight one = weight_;
    one.experts = 1;
    std::minstd_rand random(1);
    if (one.format == WeightFormat::kPacked) {
      std::vector<float> values(static_cast<size_t>(n * k));
      for (float& v : values) v = static_cast<float>(random()) / 2147483648.0f - 0.5f;
      pack_rows(context, one, 0, 0, FloatRows{.rows = n, .values_NK = values.data()},
                memory_.data());
    } else if (one.format == WeightFormat::kW8A8) {
      std::vector<int8_t> values(static_cast<size_t>(n * k));
      for (int8_t& v : values) v = static_cast<int8_t>(random() >> 8);
      const std::vector<float> scales(static_cast<size_t>(n), 0.01f);
      pack_rows(context, one, 0, 0,
                Int8Rows{.rows = n, .values_NK = values.data(), .scales_N = scales.data()},
                memory_.data());
    } else {
      std::vector<uint32_t> words(static_cast<size_t>(n * ((k + 7) / 8)));
      for (uint32_t& w : words) w = static_cast<uint32_t>(random()) * 2654435761u;
      const std::vector<BFloat16> scales(static_cast<size_t>(n * ((k + 127) / 128)),
                                         BFloat16(0.01f));
      pack_rows(context, one, 0, 0,
                Int4Rows{.rows = n, .words_NK8 = words.data(), .scales_NG = scales.data()},
                memory_.data());
    }
  }

  Weight weight_;
  int64_t layer_bytes_ = 0, expert_bytes_ = 0, layers_ = 1;
  Buffer memory_;
};

/// The activations of one call and where its results go.
struct Rows {
  Rows(const Context& context, const Format& format, Shape shape, int64_t count)
      : x(static_cast<size_t>(count * shape.k * 4)),
        y(static_cast<size_t>(count * shape.n * 4)),
        arena(QuantizedRows::bytes(count, shape.k)) {
    x_RK = Tensor(x.data(), format.dtype, {count, shape.k});
    y_RN = Tensor(y.data(), DType::kF32, {count, shape.n});
    std::minstd_rand random(2);
    for (int64_t i = 0; i < count * shape.k; ++i) {
      const float value = static_cast<float>(random()) / 2147483648.0f - 0.5f;
      if (format.dtype == DType::kBF16)
        x.as<BFloat16>()[i] = BFloat16(value);
      else
        x.as<float>()[i] = value;
    }
    if (format.weights == WeightFormat::kPacked) return;
    quantized = QuantizedRows::allocate(arena, count, shape.k);
    quantize_rows(context, x_RK, quantized);
  }

  void multiply(const Context& context, const Weight& w, Groups groups) const {
    if (w.quantized())
      linear_forward(context, quantized, {}, w, groups, {}, y_RN);
    else
      linear_forward(context, x_RK, w, groups, {}, y_RN);
  }

  Buffer x, y;
  Arena arena;
  Tensor x_RK, y_RN;
  QuantizedRows quantized;
};

/// Offsets of groups in which a few experts of a layer have rows; over the calls every expert of
/// every layer has its turn, in a random order.
class Calls {
 public:
  Calls(int64_t experts, int64_t active, uint64_t seed)
      : active_(active), order_(static_cast<size_t>(experts)) {
    std::iota(order_.begin(), order_.end(), 0);
    Rng rng(seed, "bench gmm");
    for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[rng.below(i)]);
  }

  std::vector<int32_t> groups(int64_t call, int64_t rows) const {
    const auto experts = static_cast<int64_t>(order_.size());
    std::vector<int32_t> count(order_.size() + 1);
    for (int64_t i = 0; i < active_; ++i)
      count[order_[static_cast<size_t>((call * active_ + i) % experts)] + 1] +=
          static_cast<int32_t>(rows);
    std::partial_sum(count.begin(), count.end(), count.begin());
    return count;
  }

 private:
  int64_t active_;
  std::vector<size_t> order_;
};

class GmmBench {
 public:
  GmmBench(const BenchGmmOptions& options, Run& run)
      : options_(options),
        run_(run),
        calls_(options.experts, options.active, run.common().seed),
        tiling_(read_tiling(run)) {}

  const TilingTable& tiling() const { return tiling_; }

  void measure(const Format& format, Shape shape, const ReadBuffer& read, Json& rows) {
    Arena scratch(scratch_bytes(shape));
    const Context context{run_.pool(), run_.table(), scratch};
    Weights weights(context, format, shape, options_.experts);
    weights.choose_tiles(context, tiling_, options_, most_rows());
    Limits limits = measure_limits(format, read);
    std::vector<Json> lines;
    for (int64_t count : options_.rows)
      lines.push_back(time_rows(context, format, shape, weights, count));
    const Limits after = measure_limits(format, read);
    limits = {std::max(limits.gops, after.gops), std::max(limits.gb_s, after.gb_s)};
    for (Json& line : lines) {
      line["percent_of_peak"] = 100 * line["gops"].get<double>() / limits.gops;
      line["percent_of_bandwidth"] = 100 * line["gb_s"].get<double>() / limits.gb_s;
      const std::string name = fmt::format("{} {}x{} with {} rows", format.name, shape.k, shape.n,
                                           line["rows_per_expert"].get<int64_t>());
      check_share(name, "peak", line["percent_of_peak"].get<double>());
      check_share(name, "read bandwidth", line["percent_of_bandwidth"].get<double>());
      rows.push_back(line);
    }
  }

 private:
  struct Limits {
    double gops, gb_s;
  };
  Limits measure_limits(const Format& format, const ReadBuffer& read) {
    const auto& peak = run_.table().peak;
    return {measure_gflops(run_.pool(), peak, format.peak, /*rounds=*/2),
            measure_read(run_.pool(), peak, read, /*rounds=*/2)};
  }

  int64_t most_rows() const {
    return *std::max_element(options_.rows.begin(), options_.rows.end());
  }

  size_t scratch_bytes(Shape shape) {
    Arena none(64);
    const Context context{run_.pool(), run_.table(), none};
    return linear_scratch_bytes(context, most_rows() * options_.active, options_.experts, shape.n,
                                shape.k);
  }

  Json time_rows(const Context& context, const Format& format, Shape shape, const Weights& weights,
                 int64_t count) {
    using Clock = std::chrono::steady_clock;
    const Rows rows(context, format, shape, count * options_.active);
    const int64_t calls_per_layer = (options_.experts + options_.active - 1) / options_.active;
    std::vector<double> seconds;
    const auto until = Clock::now() + std::chrono::duration<double>(options_.seconds);
    for (int64_t call = 0; call < 3 || Clock::now() < until; ++call) {
      const auto groups = calls_.groups(call, count);
      const Weight layer = weights.layer(call / calls_per_layer);
      const auto start = Clock::now();
      rows.multiply(context, layer, groups);
      seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    }
    seconds.erase(seconds.begin());  // the first call wakes the threads
    const double time = median(seconds);
    const auto active = static_cast<double>(options_.active);
    const double ops = 2 * active * static_cast<double>(count * shape.n * shape.k);
    return {{"format", format.name},
            {"experts", options_.experts},
            {"active_experts", options_.active},
            {"rows_per_expert", count},
            {"n", shape.n},
            {"k", shape.k},
            {"isa", run_.table().isa},
            {"threads", run_.num_threads()},
            {"ms", time * 1e3},
            {"gops", ops / time * 1e-9},
            {"gb_s", active * static_cast<double>(weights.expert_bytes()) / time * 1e-9},
            {"slice_kb", weights.tiles(count).slice_kb},
            {"block_kb", weights.tiles(count).block_kb}};
  }

  const BenchGmmOptions& options_;
  Run& run_;
  Calls calls_;
  TilingTable tiling_;
};

void bench_gmm(BenchGmmOptions& options, Run& run) {
  if (options.active > options.experts)
    throw UsageError(
        fmt::format("--active {} is more than --experts {}", options.active, options.experts));
  if (options.tune && options.tiling.frozen())
    throw UsageError("--tune measures tile sizes, --tiling frozen forbids it");
  const auto shapes = parse_shapes("shapes", options.shapes, "KxN");
  GmmBench bench(options, run);
  const ReadBuffer read(run.pool());
  Json rows = Json::array();
  Progress progress =
      run.progress("bench gmm", static_cast<int64_t>(options.formats.size() * shapes.size()));
  int64_t done = 0;
  for (const auto& [k, n] : shapes)
    for (const std::string& name : options.formats) {
      bench.measure(find_format(name), {.k = k, .n = n}, read, rows);
      progress.update(++done, name);
    }
  if (!options.tiling.frozen()) keep_tiling(bench.tiling(), run);
  run.result({{"rows", rows}});
}

}  // namespace

void add_bench_gmm(Cli& cli) {
  cli.add<BenchGmmOptions>("bench gmm", "Speed of grouped matrix products", bench_gmm);
}

}  // namespace moge
