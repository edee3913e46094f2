// `moge doctor`: what this machine is and what it can do at most, measured in a few seconds.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli.h"
#include "commands.h"
#include "moge/ops/peaks.h"
#include "moge/runtime/topology.h"

namespace moge {

namespace {

using Json = nlohmann::ordered_json;

struct DoctorOptions {
  void visit(FieldList&) {}
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

Json memory_json(Run& run) {
  Json read_gb_s = Json::object();
  const ReadBuffer buffer(run.pool());
  for (const int threads : thread_counts(run.num_threads())) {
    ThreadPool pool(threads);
    read_gb_s[std::to_string(threads)] = rounded(measure_read(pool, run.table().peak, buffer));
  }
  return {{"total_bytes", topology().memory_bytes},
          {"available_bytes", memory_available()},
          {"read_gb_s", read_gb_s}};
}

Json peak_json(Run& run) {
  const ComputePeaks peaks = measure_compute(run.pool(), run.table().peak);
  return {{"fp32_gflops", rounded(peaks.fp32_gflops)},
          {"bf16_gflops", rounded(peaks.bf16_gflops)},
          {"int8_gops", rounded(peaks.int8_gops)}};
}

void run_doctor(DoctorOptions&, Run& run) {
  Json report;
  report["cpu"] = cpu_json(run);
  report["memory"] = memory_json(run);
  report["peak"] = peak_json(run);
  report["mpi"] = {{"found", false}, {"why", "not built in"}};
  report["gpus"] = Json::array();
  report["gpu_support"] = "not built in";
  run.result(report);
}

}  // namespace

void add_doctor(Cli& cli) {
  cli.add<DoctorOptions>("doctor", "Measure this machine: memory bandwidth and arithmetic peaks",
                         run_doctor);
}

}  // namespace moge
