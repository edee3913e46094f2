#include "moge/train/metrics.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "moge/core/error.h"
#include "moge/core/files.h"

namespace moge::train {

using nlohmann::json;

namespace {

std::string timestamp() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local);
  return text;
}

/// JSON has no NaN: a value that is not finite becomes null.
json number(double value) { return std::isfinite(value) ? json(value) : json(); }

/// The lines of steps up to last_step; a torn last line (a killed run) is dropped.
std::string lines_up_to(const std::filesystem::path& path, int64_t last_step) {
  std::string kept, line;
  std::ifstream in(path);
  while (std::getline(in, line)) {
    const json parsed = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!parsed.is_object() || !parsed.contains("step") || !parsed["step"].is_number_integer())
      continue;
    if (parsed["step"].get<int64_t>() <= last_step) kept += line + "\n";
  }
  return kept;
}

}  // namespace

std::string log_line(const StepReport& r, bool with_throughput) {
  std::string line = fmt::format(
      " [{}] iteration {:8d}/{:8d} | consumed samples: {:12d} | elapsed time per iteration (ms): "
      "{:.1f} |",
      timestamp(), r.step, r.train_iters, r.consumed_samples, r.step_ms);
  if (with_throughput) line += fmt::format(" throughput per GPU (TFLOP/s/GPU): {:.1f} |", r.tflops);
  line += fmt::format(" learning rate: {:.6E} | global batch size: {:5d} | lm loss: {:.6E} |",
                      r.learning_rate, r.global_batch_size, r.lm_loss);
  line += fmt::format(" load_balancing_loss: {:.6E} |", r.aux_loss);
  if (r.z_loss != 0) line += fmt::format(" z_loss: {:.6E} |", r.z_loss);
  line += fmt::format(
      " loss scale: 1.0 | grad norm: {:.3f} | number of skipped iterations: {:3d} | number of nan "
      "iterations: {:3d} |",
      r.grad_norm, r.skipped_iterations, r.nan_iterations);
  line += fmt::format(" tokens/s: {:.0f} | mfu: {:.3f} |", r.tokens_per_s, r.mfu);
  return line + r.balance_line;
}

std::string validation_lines(int64_t iteration, double lm_loss) {
  const std::string text = fmt::format(
      " validation loss at iteration {} | lm loss value: {:.6E} | lm loss PPL: {:.6E} | ",
      iteration, lm_loss, std::exp(std::min(20.0, lm_loss)));
  const std::string rule(text.size() + 1, '-');
  return rule + "\n" + text + "\n" + rule;
}

json to_json(const StepReport& r) {
  json line = {{"step", r.step},
               {"lm_loss", number(r.lm_loss)},
               {"aux_loss", number(r.aux_loss)},
               {"z_loss", number(r.z_loss)},
               {"lr", r.learning_rate},
               {"grad_norm", number(r.grad_norm)},
               {"tokens", r.tokens},
               {"step_ms", r.step_ms},
               {"tokens_per_s", r.tokens_per_s},
               {"mfu", number(r.mfu)},
               {"balance", nullptr}};
  if (!r.balance_json.empty()) line["balance"] = json::parse(r.balance_json);
  return line;
}

MetricsFile::MetricsFile(std::filesystem::path path, int64_t last_step) : path_(std::move(path)) {
  write_file(path_, lines_up_to(path_, last_step));
  file_ = std::fopen(path_.c_str(), "a");
  check(file_ != nullptr, "{}: cannot be opened: {}", path_.string(), std::strerror(errno));
}

MetricsFile::~MetricsFile() {
  if (file_) std::fclose(file_);
}

void MetricsFile::append(const json& line) {
  const std::string text = line.dump() + "\n";
  const bool written =
      std::fwrite(text.data(), 1, text.size(), file_) == text.size() && std::fflush(file_) == 0;
  check(written, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
}

}  // namespace moge::train
