// `moge doctor`: what this machine is and what it can do at most, measured in a few seconds; with a
// model also whether that fits and which speeds it cannot exceed.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli.h"
#include "commands.h"
#include "moge/model/load.h"
#include "moge/ops/peaks.h"
#include "moge/plan/limits.h"
#include "moge/runtime/topology.h"

namespace moge {

namespace {

using Json = nlohmann::ordered_json;

struct DoctorOptions {
  std::string model, format = "auto";
  int64_t context = 1024;

  void visit(FieldList& v) {
    v("model", model,
      "does it fit, and how fast can it be? The predicted speeds are limits that no kernel can "
      "exceed, of one sequence: prefill = arithmetic peak / operations of a token; decode = read "
      "bandwidth / bytes of active weights and KV cache (more only out of the processor's cache)")
        .positional();
    v("format", format, "of the model's weights; the KV cache is fp32 with fp32, else bf16")
        .one_of({"auto", "bf16", "fp32", "w8a8", "w4a8"})
        .also("dtype");
    v("context", context, "tokens in the KV cache, at most the model's context").at_least(1);
  }
};

double rounded(double value) { return static_cast<double>(static_cast<int64_t>(value * 10)) / 10; }

Json cpu_json(Run& run) {
  Json isas = Json::array();
  for (const auto* table : kernels::available_tables()) isas.push_back(table->isa);
  return {{"model", topology().cpu_model},
          {"cores", topology().cores},
          {"threads", run.num_threads()},
          {"numa_nodes", topology().numa_nodes},
          {"isa", isas},
          {"chosen", run.table().isa}};
}

/// 1..n threads; on larger machines 1, 2, 4, ... and n.
std::vector<int> thread_counts(int all) {
  std::vector<int> counts;
  for (int n = 1; n < all; n += all <= 16 ? 1 : n) counts.push_back(n);
  counts.push_back(all);
  return counts;
}

/// By number of threads.
std::vector<std::pair<int, double>> read_speeds(Run& run) {
  std::vector<std::pair<int, double>> gb_s;
  const ReadBuffer buffer(run.pool());
  for (const int threads : thread_counts(run.num_threads())) {
    ThreadPool pool(threads);
    gb_s.emplace_back(threads, measure_read(pool, run.table().peak, buffer));
  }
  return gb_s;
}

double fastest(const std::vector<std::pair<int, double>>& speeds) {
  double best = 0;
  for (const auto& [threads, gb_s] : speeds) best = std::max(best, gb_s);
  return best;
}

Json memory_json(const std::vector<std::pair<int, double>>& speeds) {
  Json read_gb_s = Json::object();
  for (const auto& [threads, gb_s] : speeds) read_gb_s[std::to_string(threads)] = rounded(gb_s);
  return {{"total_bytes", topology().memory_bytes},
          {"available_bytes", memory_available()},
          {"read_gb_s", read_gb_s}};
}

Json peak_json(const ComputePeaks& peaks) {
  return {{"fp32_gflops", rounded(peaks.fp32_gflops)},
          {"bf16_gflops", rounded(peaks.bf16_gflops)},
          {"int8_gops", rounded(peaks.int8_gops)}};
}

/// "auto": as the model is stored.
std::string format_of(const DoctorOptions& options, const ModelSource& source) {
  if (options.format != "auto") return options.format;
  const QuantScheme scheme = source.quantization.scheme;
  if (scheme != QuantScheme::kNone) return name_of(scheme);
  return source.stored == DType::kF32 ? "fp32" : "bf16";
}

plan::WeightBytes weights_of(const std::string& format) {
  return format == "w8a8"   ? plan::WeightBytes::kW8A8
         : format == "w4a8" ? plan::WeightBytes::kW4A8
         : format == "fp32" ? plan::WeightBytes::kFp32
                            : plan::WeightBytes::kBf16;
}

Json fit_json(const DoctorOptions& options, const ModelSource& source, double read_gb_s,
              const ComputePeaks& peaks) {
  const std::string format = format_of(options, source);
  const plan::WeightBytes weights = weights_of(format);
  const double gflops = plan::is_quantized(weights)           ? peaks.int8_gops
                        : weights == plan::WeightBytes::kFp32 ? peaks.fp32_gflops
                                                              : peaks.bf16_gflops;
  const plan::Fit fit =
      plan::fit(source.config, weights, std::min(options.context, source.config.max_position),
                {.memory_bytes = memory_available(),
                 .read_bytes_s = read_gb_s * 1e9,
                 .operations_s = gflops * 1e9});
  return {{"format", format},
          {"weight_bytes", fit.weight_bytes},
          {"kv_bytes_per_token", fit.kv_bytes_per_token},
          {"fits", fit.fits},
          {"predicted",
           {{"prefill_tok_s", rounded(fit.prefill_tok_s)},
            {"decode_tok_s", rounded(fit.decode_tok_s)}}}};
}

void run_doctor(DoctorOptions& options, Run& run) {
  std::optional<ModelSource> model;
  if (!options.model.empty()) model = find_model(options.model);  // wrong ones fail at once
  Json report;
  report["cpu"] = cpu_json(run);
  const auto speeds = read_speeds(run);
  report["memory"] = memory_json(speeds);
  const ComputePeaks peaks = measure_compute(run.pool(), run.table().peak);
  report["peak"] = peak_json(peaks);
  report["mpi"] = {{"found", false}, {"why", "not built in"}};
  report["gpus"] = Json::array();
  report["gpu_support"] = "not built in";
  if (model) report["fit"] = fit_json(options, *model, fastest(speeds), peaks);
  run.result(report);
}

}  // namespace

void add_doctor(Cli& cli) {
  cli.add<DoctorOptions>("doctor", "Measure this machine (and what a model can reach on it)",
                         run_doctor);
}

}  // namespace moge
