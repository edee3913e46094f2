// op_table: lists or times the rows of the case table.
//   op_table --list                     every row with its steps
//   op_table [OP...] [--isa avx2] ...   time, GB/s, GFLOP/s and x the fp64 reference
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "moge/ops/test_cases.h"

namespace {

using moge::testing::OpRow;
using moge::testing::PerfLine;

struct Options {
  std::vector<std::string> ops;
  std::string isa;
  int threads = moge::available_cores();
  double seconds = 0.2;
  bool list = false, all_rows = false, all_isas = false, reference = false, json = false;
};

Options parse(int argc, char** argv) {
  Options options;
  CLI::App app("Times the rows of the case table.");
  app.add_option("ops", options.ops, "Only these ops");
  app.add_option("--isa", options.isa, "Instruction set (default: the best)");
  app.add_option("--threads", options.threads, "Threads")->capture_default_str();
  app.add_option("--seconds", options.seconds, "Per row and step")->capture_default_str();
  app.add_flag("--list", options.list, "Print the rows and end");
  app.add_flag("--all-rows", options.all_rows, "Time the small shapes of the tests too");
  app.add_flag("--all-isas", options.all_isas, "Every instruction set of this machine");
  app.add_flag("--reference", options.reference, "Time the fp64 reference too");
  app.add_flag("--json", options.json, "One JSON object a line");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) ? 2 : 0);
  }
  return options;
}

bool wanted(const Options& options, const OpRow& row) {
  const auto& ops = options.ops;
  return ops.empty() || std::find(ops.begin(), ops.end(), row.op) != ops.end();
}

void list(const Options& options) {
  for (const OpRow& row : moge::testing::op_table()) {
    if (!wanted(options, row)) continue;
    fmt::print("{:<16} {:<48}", row.op, row.shape);
    for (const auto& step : row.steps) fmt::print(" {}", step.name);
    fmt::print("{}{}\n", row.gradients.empty() ? "" : " [grad]", row.perf ? " [perf]" : "");
  }
}

void print(const PerfLine& line, bool json) {
  if (json) {
    const nlohmann::ordered_json object = {
        {"op", line.op},     {"shape", line.shape},     {"step", line.step},
        {"isa", line.isa},   {"threads", line.threads}, {"us", line.us},
        {"gb_s", line.gb_s}, {"gflop_s", line.gflop_s}, {"reference_us", line.reference_us}};
    fmt::print("{}\n", object.dump());
    return;
  }
  fmt::print("{:<14} {:<44} {:<16} {:<12} {:>2} {:>10.1f} us {:>7.1f} GB/s {:>8.1f} GFLOP/s",
             line.op, line.shape, line.step, line.isa, line.threads, line.us, line.gb_s,
             line.gflop_s);
  if (line.reference_us > 0) fmt::print(" {:>7.1f} x reference", line.reference_us / line.us);
  fmt::print("\n");
}

void perf(const Options& options) {
  std::vector<const moge::kernels::Table*> tables = {&moge::kernels::choose_table(options.isa)};
  if (options.all_isas) tables = moge::kernels::available_tables();
  for (const OpRow& row : moge::testing::op_table()) {
    if (!wanted(options, row) || !(row.perf || options.all_rows)) continue;
    for (const auto* table : tables)
      for (const PerfLine& line : moge::testing::perf_row(row, *table, options.threads,
                                                          options.seconds, options.reference))
        print(line, options.json);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  try {
    options.list ? list(options) : perf(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "op_table: error: {}\n", error.what());
    return 1;
  }
  return 0;
}
