// What a step tells the world: Megatron's log line, a line of metrics.jsonl, TensorBoard tags.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace moge::train {

struct StepReport {
  int64_t step = 0, train_iters = 0;
  int64_t consumed_samples = 0, global_batch_size = 0, tokens = 0;  ///< tokens of this step
  double lm_loss = 0, aux_loss = 0, z_loss = 0;  ///< aux and z: mean over MoE layers, unscaled
  double learning_rate = 0, grad_norm = 0;
  double step_ms = 0, tokens_per_s = 0, tflops = 0, mfu = 0;
  int64_t nan_iterations = 0, skipped_iterations = 0;
  std::string balance_json;  ///< the balance report of a logged step; empty otherwise
  std::string balance_line;  ///< the same for people, appended to the log line
};

/// Megatron-LM's line, phrase by phrase (people's scripts look for them).
std::string log_line(const StepReport& report, bool with_throughput);

/// The dashed validation block of Megatron-LM.
std::string validation_lines(int64_t iteration, double lm_loss);

/// {"step", "lm_loss", "aux_loss", ...}: a line of metrics.jsonl.
nlohmann::json to_json(const StepReport& report);

/// SAVE/metrics.jsonl, a line a step. Opening it for a run that continues after `last_step` drops
/// the lines of later steps, which will be computed again.
class MetricsFile {
 public:
  MetricsFile(std::filesystem::path path, int64_t last_step);
  ~MetricsFile();
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;
  void append(const nlohmann::json& line);

 private:
  std::filesystem::path path_;
  std::FILE* file_ = nullptr;
};

}  // namespace moge::train
