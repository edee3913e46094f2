// moge bench model: a model's speed in tokens per second, beside what the machine allows at most.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>

#include "bench_model_run.h"
#include "bench_options.h"
#include "cli.h"
#include "commands.h"
#include "format_option.h"
#include "moge/core/files.h"
#include "tiling_option.h"

namespace moge {

namespace {

using Json = nlohmann::ordered_json;

struct BenchModelOptions {
  FormatOptions format;
  TilingOption tiling;
  std::string model, kv_dtype = "bf16", trace;
  bool profile = false;
  int64_t pp = 512, tg = 128, reps = 5, num_layers = 0;
  std::vector<int64_t> batches = {1, 8, 32, 64};

  void visit(FieldList& v) {
    v("model", model, "model folder, --save folder or preset:NAME").positional().required();
    format.visit(v);
    tiling.visit(v);
    v("pp", pp, "tokens of the one prompt; 0: not measured").at_least(0);
    v("tg", tg, "tokens that one stream makes after an empty prompt; 0: not measured").at_least(0);
    v("batches", batches, "streams that make 32 tokens each after prompts of 128; 0: none")
        .between(0, 4096);
    v("kv-dtype", kv_dtype, "of the KV cache")
        .one_of({"bf16", "fp32", "int8"})
        .also("kv-cache-dtype");
    v("reps", reps, "repetitions, of which the median counts").at_least(1);
    v("profile", profile, "also a table of where each row's time goes, by op, and a Chrome trace");
    v("trace", trace, "of the last row's last repetition; with --profile: moge-trace.json")
        .called("FILE");
    v("num-layers", num_layers, "of a preset: so many of its layers; 0: all").at_least(0);
  }
};

/// Measures what the rows are fractions of.
class Limits {
 public:
  explicit Limits(Run& run) : run_(run), buffer_(run.pool()) {}
  BenchLimits now() {
    return {.peak = measure_compute(run_.pool(), run_.table().peak),
            .read_gb_s = measure_read(run_.pool(), run_.table().peak, buffer_)};
  }

 private:
  Run& run_;
  ReadBuffer buffer_;
};

/// VmHWM of this process.
int64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

struct Result {
  Json speed, of_limit, of_read, of_peak, distinct;  // by row
};

/// Percentages of one row; refuses what cannot be.
class Scorer {
 public:
  Scorer(QuantScheme scheme, DType dtype) : scheme_(scheme), dtype_(dtype) {}

  void add(Result& result, const std::string& key, const BenchRow& row, const BenchLimits& limits) {
    const double floats =
        1e9 * (dtype_ == DType::kF32 ? limits.peak.fp32_gflops : limits.peak.bf16_gflops);
    const double weights = scheme_ == QuantScheme::kNone ? floats : 1e9 * limits.peak.int8_gops;
    const double read_s = row.bytes / (limits.read_gb_s * 1e9);
    const double compute_s = row.weight_flops / weights + row.float_flops / floats;
    result.speed[key] = row.tok_s();
    put(result.of_limit, key, 100 * std::max(read_s, compute_s) / row.seconds);
    put(result.of_read, key, 100 * read_s / row.seconds);
    put(result.of_peak, key, 100 * compute_s / row.seconds);
    result.distinct[key] = row.distinct_experts;
  }

 private:
  static void put(Json& json, const std::string& key, double percent) {
    check_share(key, "machine's limit", percent);
    json[key] = percent;
  }
  QuantScheme scheme_;
  DType dtype_;
};

ModelSource source_of(const BenchModelOptions& options) {
  ModelSource source = find_model(options.model);
  if (options.num_layers == 0) return source;
  check(!source.preset.empty(), "--num-layers cuts presets only; {} is a folder", options.model);
  check(options.num_layers <= source.config.num_layers(), "--num-layers {}: {} has {} layers",
        options.num_layers, options.model, source.config.num_layers());
  source.config.layers.resize(static_cast<size_t>(options.num_layers));
  return source;
}

std::string format_name(const LoadOptions& options) {
  if (*options.scheme != QuantScheme::kNone) return name_of(*options.scheme);
  return options.dtype == DType::kF32 ? "fp32" : "bf16";
}

/// Where the last repetition of a row spent its time.
Json profile_json(const Profiler& profiler, const std::string& row, double seconds) {
  Json table = Json::array();
  for (const Profiler::Row& op : profiler.table(seconds))
    table.push_back({{"row", row},
                     {"op", op.label},
                     {"calls", op.calls},
                     {"ms", op.ms},
                     {"percent", op.percent}});
  return table;
}

/// Measures `rows` with the limits around them.
Result measure(Profiler* profiler, Json& profile, Limits& limits, BenchLimits& largest,
               Scorer& scorer,
               const std::vector<std::pair<std::string, std::function<BenchRow()>>>& rows,
               const char* prefix, Progress& progress, int64_t& done) {
  Result result;
  if (rows.empty()) return result;
  BenchLimits around = limits.now();
  std::vector<BenchRow> measured;
  for (const auto& [key, work] : rows) {
    measured.push_back(work());
    if (profiler)
      for (const Json& line : profile_json(*profiler, prefix + key, measured.back().last_seconds))
        profile.push_back(line);
    progress.update(++done, fmt::format("{} {:.1f} tok/s", key, measured.back().tok_s()));
  }
  around.take_larger(limits.now());
  for (size_t i = 0; i < rows.size(); ++i) scorer.add(result, rows[i].first, measured[i], around);
  largest.take_larger(around);
  return result;
}

void bench_model(BenchModelOptions& options, Run& run) {
  const ModelSource source = source_of(options);
  std::erase(options.batches, 0);
  LoadOptions load = options.format.load_options(source);
  if (load.dtype == DType::kF32 && options.format.format == "auto" && !source.preset.empty() &&
      options.format.dtype == "auto")
    load.dtype = DType::kBF16;  // a preset has no stored type; bf16 is what it is measured in
  load.seed = run.common().seed;
  load.positions = std::max({options.pp, options.tg, int64_t{160}});
  Arena scratch(size_t{64} << 20, "load scratch");
  const auto start = std::chrono::steady_clock::now();
  LoadedModel loaded = load_model(Context{run.pool(), run.table(), scratch}, source, load);
  const std::chrono::duration<double> load_s = std::chrono::steady_clock::now() - start;
  const int64_t load_peak = peak_resident_bytes();
  choose_tiling(run, loaded.model.weights, std::max<int64_t>(options.pp, 512), options.tiling);
  if (!options.trace.empty()) options.profile = true;
  if (options.profile && options.trace.empty()) options.trace = "moge-trace.json";
  const auto profiler = options.profile ? std::make_unique<Profiler>() : nullptr;
  const ProfileScope profile_scope(profiler.get());
  Json profile = Json::array();
  BenchModel bench(run.pool(), run.table(), loaded.model,
                   {.prompt = std::max<int64_t>(options.pp, 1),
                    .predict = std::max<int64_t>(options.tg, 1),
                    .repetitions = options.reps,
                    .batches = options.batches,
                    .kv_dtype = kv_dtype_of(options.kv_dtype, DType::kBF16),
                    .seed = run.common().seed,
                    .profiler = profiler.get()});
  Progress progress = run.progress("bench model", (options.pp > 0) + (options.tg > 0) +
                                                      static_cast<int64_t>(options.batches.size()));
  int64_t done = 0;
  Limits limits(run);
  BenchLimits largest;
  Scorer scorer(*load.scheme, load.dtype);
  using Rows = std::vector<std::pair<std::string, std::function<BenchRow()>>>;
  Rows pp, tg, batched;
  if (options.pp > 0) pp.emplace_back(std::to_string(options.pp), [&] { return bench.prompt(); });
  if (options.tg > 0) tg.emplace_back(std::to_string(options.tg), [&] { return bench.predict(); });
  for (int64_t b : options.batches)
    batched.emplace_back(std::to_string(b), [&, b] { return bench.batch(b); });
  const Result p =
      measure(profiler.get(), profile, limits, largest, scorer, pp, "pp", progress, done);
  const Result t =
      measure(profiler.get(), profile, limits, largest, scorer, tg, "tg", progress, done);
  const Result b =
      measure(profiler.get(), profile, limits, largest, scorer, batched, "batch ", progress, done);
  const auto first = [](const Json& json) { return json.empty() ? Json() : Json(*json.begin()); };
  const auto fractions = [&](Json Result::*part) -> Json {
    return {{"pp", first(p.*part)}, {"tg", first(t.*part)}, {"batched", b.*part}};
  };
  if (profiler) {
    write_file(options.trace, profiler->chrome_trace());
    run.note(fmt::format("the last row's trace is in {}", options.trace));
  }
  Json result = {{"model", source.name},
                 {"format", format_name(load)},
                 {"layers", source.config.num_layers()},
                 {"kv_dtype", options.kv_dtype},
                 {"threads", run.num_threads()},
                 {"isa", run.table().isa},
                 {"pp", p.speed},
                 {"tg", t.speed},
                 {"batched", b.speed},
                 {"weight_bytes", loaded.weight_bytes()},
                 {"active_weight_bytes", bench.cost().active_bytes()},
                 {"distinct_experts", b.distinct},
                 {"percent_of_limit", fractions(&Result::of_limit)},
                 {"percent_of_read_bandwidth", fractions(&Result::of_read)},
                 {"percent_of_peak", fractions(&Result::of_peak)},
                 {"read_gb_s", largest.read_gb_s},
                 {"peak",
                  {{"fp32_gflops", largest.peak.fp32_gflops},
                   {"bf16_gflops", largest.peak.bf16_gflops},
                   {"int8_gops", largest.peak.int8_gops}}},
                 {"repetitions", options.reps},
                 {"load_s", load_s.count()},
                 {"load_peak_bytes", load_peak}};
  if (profiler) result["profile"] = profile;
  run.result(result);
}

}  // namespace

void add_bench_model(Cli& cli) {
  cli.add<BenchModelOptions>("bench model", "Tokens per second of prompts, streams and batches",
                             bench_model);
}

}  // namespace moge
