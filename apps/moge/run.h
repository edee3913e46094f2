// What every command gets besides its own options: threads, kernels, the stop flag, and the ways to
// print. stdout carries the result, stderr everything else.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "moge/core/fields.h"
#include "moge/core/stop_flag.h"
#include "moge/kernels/table.h"
#include "moge/runtime/thread_pool.h"
#include "output.h"
#include "progress.h"

namespace moge {

/// Options of every command. A command's own field of the same name takes the place of the common
/// one (for example --seed with another default).
struct CommonOptions {
  int threads = 0;
  uint64_t seed = 0;
  std::string isa;
  bool verbose = false;
  bool quiet = false;
  std::string output = "text";
  std::string config;

  void visit(FieldList& v) {
    v("threads", threads, "compute threads; 0: every core this process may use").at_least(0);
    v("seed", seed, "seed of every random draw");
    v("isa", isa, "instruction set of the kernels, as MOGE_FORCE_ISA").called("NAME");
    v("verbose", verbose, "say more on stderr").letter('v');
    v("quiet", quiet, "no log lines and no progress bar");
    v("output", output, "what stdout carries").one_of({"text", "json"});
    v("config", config, "JSON file with the same options by name").called("FILE");
  }
};

class Run {
 public:
  explicit Run(const CommonOptions& common) : common_(common) {}

  const CommonOptions& common() const { return common_; }
  bool json() const { return common_.output == "json"; }
  int num_threads() const { return common_.threads > 0 ? common_.threads : available_cores(); }
  ThreadPool& pool();                   ///< made at first use
  const kernels::Table& table() const;  ///< of --isa; UsageError if this machine lacks it

  /// From the first call on, Ctrl-C and SIGTERM set this flag instead of ending the process; a
  /// second signal ends it at once. Commands that call it must poll it.
  StopFlag& stop() const;

  /// The result: one JSON line, or "name  value" lines for people.
  void result(const nlohmann::ordered_json& object) const;
  /// Text of the result, to stdout at once.
  void out(std::string_view text) const { print_out(text); }
  /// A line on stderr unless --quiet; detail() only with --verbose.
  void note(std::string_view line) const;
  void detail(std::string_view line) const;
  /// A progress bar on stderr (progress.h).
  Progress progress(std::string label, int64_t total) const;

 private:
  CommonOptions common_;
  std::unique_ptr<ThreadPool> pool_;
};

}  // namespace moge
