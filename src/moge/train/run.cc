#include "moge/train/run.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "moge/config/model_choice.h"
#include "moge/core/error.h"
#include "moge/core/fields_json.h"
#include "moge/core/files.h"
#include "moge/data/dataset.h"
#include "moge/model/load.h"
#include "moge/ops/peaks.h"
#include "moge/plan/flops.h"
#include "moge/text/tokenizer.h"
#include "moge/train/balance_log.h"
#include "moge/train/batches.h"
#include "moge/train/checkpoint.h"
#include "moge/train/mock_data.h"
#include "moge/train/schedule.h"
#include "moge/train/tensorboard.h"
#include "moge/train/trainer.h"

namespace moge::train {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Where a run begins: a checkpoint to continue, or the model that the options name.
struct Start {
  ModelSource source;
  std::optional<fs::path> checkpoint;
  CheckpointInfo info;  ///< iteration 0 for a fresh run
};

std::optional<fs::path> checkpoint_of(const std::string& folder) {
  if (folder.empty() || !fs::is_directory(folder)) return {};
  if (fs::exists(fs::path(folder) / "training_state" / "state.json")) return folder;
  const auto iteration = newest_checkpoint(folder);
  return iteration ? std::optional(checkpoint_path(folder, *iteration)) : std::nullopt;
}

Start find_start(const TrainConfig& config) {
  Start start;
  start.checkpoint = checkpoint_of(config.run.save);
  if (!start.checkpoint && !config.run.load.empty()) {
    start.checkpoint = checkpoint_of(config.run.load);
    check(start.checkpoint.has_value(), "--load {}: there is no checkpoint", config.run.load);
  }
  if (!start.checkpoint) {
    start.source = find_model(config.model.model);
    start.source.config = with_overrides(start.source.config, config.model);
    return start;
  }
  start.source = find_model(start.checkpoint->string());
  start.info = read_checkpoint_info(*start.checkpoint);
  return start;
}

/// The order of the data is a function of the step, so other batch sizes would repeat or skip some.
void check_consumed(const OptimizerConfig& optimizer, const CheckpointInfo& info) {
  if (info.iteration == 0) return;
  const int64_t consumed = samples_of_step(optimizer, info.iteration).end();
  check(
      consumed == info.consumed_samples,
      "the checkpoint of iteration {} has consumed {} samples, with these options it would be {}: "
      "keep --global-batch-size and --rampup-batch-size, or begin anew with --finetune",
      info.iteration, info.consumed_samples, consumed);
}

/// End and begin tokens of a model that is trained with this tokenizer.
void adopt_tokenizer(const Tokenizer& tokenizer, ModelConfig& config) {
  check(tokenizer.vocab_size() <= config.vocab_size,
        "the tokenizer has {} tokens, the model's vocabulary {}: pass --vocab-size",
        tokenizer.vocab_size(), config.vocab_size);
  if (const auto eos = tokenizer.eos_id()) config.eos_ids = {*eos};
  config.bos_id = tokenizer.bos_id().value_or(-1);
  config.pad_id = tokenizer.pad_id().value_or(-1);
}

class Session {
 public:
  Session(const TrainConfig& config, ThreadPool& threads, const kernels::Table& table,
          const StopFlag& stop, Listener& listener);
  Summary run();

 private:
  void open_data(ThreadPool& threads);
  void begin_weights();
  void print_start() const;
  SampleSource samples_of(data::BatchSource* source) const;
  void one_step(int64_t step);
  void report_step(int64_t step, const StepResult& result, double step_s, bool logged);
  void write_tensorboard(const StepReport& report);
  void validate(int64_t step);
  void save(int64_t step);
  void wait_for_save();
  [[noreturn]] void dump_and_fail(int64_t step, const StepResult& result);
  std::string reason_to_exit(int64_t step) const;

  TrainConfig config_;
  const StopFlag& stop_;
  Listener& listener_;
  std::optional<RunLock> lock_;
  Start start_;
  std::unique_ptr<Tokenizer> tokenizer_;
  data::DataParts parts_;
  std::unique_ptr<Trainer> trainer_;
  std::optional<MetricsFile> metrics_;
  std::optional<TensorBoardWriter> tensorboard_;
  ExpertCounts counts_;
  double peak_gflops_ = 0, flops_per_token_ = 0;
  Summary summary_;
  int64_t nan_iterations_ = 0, last_saved_ = -1;
  std::string balance_svg_;
  double trained_s_ = 0;
  Clock::time_point began_ = Clock::now();
  std::future<fs::path> saving_;
  std::unique_ptr<TrainState> snapshot_;
};

Session::Session(const TrainConfig& config, ThreadPool& threads, const kernels::Table& table,
                 const StopFlag& stop, Listener& listener)
    : config_(config), stop_(stop), listener_(listener) {
  check_batches(config_.optimizer);
  config_.optimizer.train_iters = total_steps(config_.optimizer);
  if (!config_.run.save.empty()) lock_.emplace(config_.run.save);
  start_ = find_start(config_);
  open_data(threads);
  if (tokenizer_ && !start_.checkpoint) adopt_tokenizer(*tokenizer_, start_.source.config);
  trainer_ = std::make_unique<Trainer>(threads, table, start_.source.config, config_.data,
                                       config_.optimizer);
  begin_weights();
  // For the metrics' MFU only: one round (0.1 s) is near enough; `moge doctor` measures longer.
  peak_gflops_ = measure_gflops(threads, table.peak,
                                config_.optimizer.bf16 ? DType::kBF16 : DType::kF32, /*rounds=*/1);
  flops_per_token_ = plan::train_flops_per_token(start_.source.config, config_.data.seq_length);
  if (config_.run.save.empty()) return;
  metrics_.emplace(fs::path(config_.run.save) / "metrics.jsonl", start_.info.iteration);
  const std::string events = config_.run.tensorboard_dir.empty()
                                 ? (fs::path(config_.run.save) / "tensorboard").string()
                                 : config_.run.tensorboard_dir;
  tensorboard_.emplace(events);
}

void Session::open_data(ThreadPool& threads) {
  const DataConfig& d = config_.data;
  if (!d.tokenizer_model.empty()) tokenizer_ = Tokenizer::load(d.tokenizer_model);
  if (d.mock_data) return;
  check(!d.data_path.empty() || !d.train_data_path.empty(),
        "no data: pass --data-path, --train-data-path or --mock-data");
  const data::DataOptions options{
      .data_path = d.data_path,
      .split = d.split,
      .train_data_path = d.train_data_path,
      .valid_data_path = d.valid_data_path,
      .packing = {.seq_length = d.seq_length,
                  .seed = static_cast<uint64_t>(config_.seed),
                  .reset_position_ids = d.reset_position_ids,
                  .reset_attention_mask = d.reset_attention_mask,
                  .eod_mask_loss = d.eod_mask_loss,
                  .eod_id = tokenizer_ ? tokenizer_->eos_id().value_or(-1) : -1,
                  .vocab_size = start_.source.config.vocab_size}};
  parts_ = data::open_data(options, tokenizer_.get(), &threads);
  check(parts_.train != nullptr, "the data has no part for training");
}

void Session::begin_weights() {
  const Context& context = trainer_->context();
  TrainState& state = trainer_->state();
  if (start_.checkpoint) {
    listener_.line(fmt::format(" loading checkpoint from {} at iteration {}",
                               start_.checkpoint->string(), start_.info.iteration));
    const bool moments = !config_.run.no_load_optim && !config_.run.finetune;
    load_checkpoint(context.threads, *start_.checkpoint, moments && start_.info.has_optimizer,
                    state);
    if (config_.run.finetune) start_.info.iteration = 0;
    check_consumed(config_.optimizer, start_.info);
    listener_.line(fmt::format("  successfully loaded checkpoint from {} [ at iteration {} ]",
                               start_.checkpoint->string(), start_.info.iteration));
    last_saved_ = start_.info.iteration;
  } else if (start_.source.folder.empty()) {
    init_params(context.threads, start_.source.config, static_cast<uint64_t>(config_.seed),
                state.weights());
  } else {
    load_params(context.threads, start_.source, static_cast<uint64_t>(config_.seed),
                state.weights());
  }
  state.refresh_bf16(context);
}

void Session::print_start() const {
  const ModelConfig& m = start_.source.config;
  listener_.line("------------------------ arguments ------------------------");
  TrainConfig shown = config_;
  listener_.line(fields_table(fields_of(shown)));
  listener_.line("-------------------- end of arguments ---------------------");
  listener_.line(fmt::format(
      " > {}: {} parameters, {} active | memory: {:.1f} MB weights and optimizer, {:.1f} MB "
      "activations | peak {:.0f} GFLOP/s ({}, {} threads)",
      m.model_type, count_params(m), count_active_params(m),
      static_cast<double>(TrainState::bytes(m, config_.optimizer.bf16)) / 1e6,
      static_cast<double>(trainer_->predicted_activation_bytes()) / 1e6, peak_gflops_,
      trainer_->context().kernels.isa, trainer_->context().num_threads()));
}

SampleSource Session::samples_of(data::BatchSource* source) const {
  if (!source)
    return mock_samples(static_cast<uint64_t>(config_.seed), start_.source.config.vocab_size);
  return
      [source](int64_t sample, std::span<int32_t> tokens, std::span<int32_t> targets,
               std::span<int32_t> positions, std::span<float> mask, std::vector<int32_t>& lengths) {
        source->get(sample, {tokens, targets, positions, mask}, lengths);
      };
}

Summary Session::run() {
  print_start();
  const int64_t first = start_.info.iteration, last = config_.optimizer.train_iters;
  summary_.steps = first;
  for (int64_t step = first + 1; step <= last; ++step) {
    one_step(step);
    summary_.exit_reason = reason_to_exit(step);
    const bool stops = !summary_.exit_reason.empty() || step == last;
    if (config_.run.save_interval && step % *config_.run.save_interval == 0 && !stops) save(step);
    if (step % config_.run.eval_interval == 0 && !stops) validate(step);
    if (!summary_.exit_reason.empty()) break;
  }
  if (summary_.exit_reason.empty() && last > first) validate(summary_.steps);
  if (summary_.steps != last_saved_) save(summary_.steps);
  wait_for_save();
  if (!config_.run.save.empty() && !balance_svg_.empty())
    write_file(fs::path(config_.run.save) / "balance.svg", balance_svg_);
  if (!summary_.exit_reason.empty()) listener_.line(summary_.exit_reason);
  if (start_.checkpoint && summary_.checkpoint.empty())
    summary_.checkpoint = start_.checkpoint->string();
  summary_.wall_s = seconds_since(began_);
  summary_.tokens_per_s = trained_s_ > 0 ? static_cast<double>(summary_.tokens) / trained_s_ : 0;
  summary_.mfu = summary_.tokens_per_s * flops_per_token_ / (peak_gflops_ * 1e9);
  return summary_;
}

void Session::one_step(int64_t step) {
  const bool logged =
      step % config_.run.log_interval == 0 || step == config_.optimizer.train_iters || step == 1;
  const bool balanced = logged && start_.source.config.moe.num_experts > 0;
  if (balanced) counts_.clear(start_.source.config);
  const auto start = Clock::now();
  const StepResult result =
      trainer_->step(step, samples_of(parts_.train.get()), balanced ? &counts_ : nullptr);
  if (!result.finite) {
    ++nan_iterations_;
    if (!config_.optimizer.no_check_for_nan_in_loss_and_grad) dump_and_fail(step, result);
  }
  const double step_s = seconds_since(start);
  trained_s_ += step_s;
  summary_.steps = step;
  summary_.lm_loss = result.lm_loss;
  report_step(step, result, step_s, logged);
}

void Session::report_step(int64_t step, const StepResult& result, double step_s, bool logged) {
  const StepSamples samples = samples_of_step(config_.optimizer, step);
  const int64_t tokens = samples.count * config_.data.seq_length;
  const double rate = static_cast<double>(tokens) / step_s;
  summary_.tokens += tokens;
  StepReport report{.step = step,
                    .train_iters = config_.optimizer.train_iters,
                    .consumed_samples = samples.end(),
                    .global_batch_size = samples.count,
                    .tokens = tokens,
                    .lm_loss = result.lm_loss,
                    .aux_loss = result.aux_loss,
                    .z_loss = result.z_loss,
                    .learning_rate = learning_rate(config_.optimizer, step),
                    .grad_norm = result.grad_norm,
                    .step_ms = step_s * 1e3,
                    .tokens_per_s = rate,
                    .tflops = rate * flops_per_token_ / 1e12,
                    .mfu = rate * flops_per_token_ / (peak_gflops_ * 1e9),
                    .nan_iterations = nan_iterations_};
  if (logged && start_.source.config.moe.num_experts > 0) {
    const BalanceLog balance = log_balance(start_.source.config, counts_, tokens);
    report.balance_json = balance.json;
    summary_.balance_table = balance.table;
    balance_svg_ = balance.svg;
    report.balance_line = balance.line;
  }
  if (metrics_) metrics_->append(to_json(report));
  if (tensorboard_) write_tensorboard(report);
  listener_.step(report);
  if (logged) listener_.line(log_line(report, config_.run.log_throughput));
}

void Session::write_tensorboard(const StepReport& r) {
  const auto scalar = [&](const char* tag, double value) {
    tensorboard_->add_scalar(tag, static_cast<float>(value), r.step);
  };
  scalar("lm loss", r.lm_loss);
  scalar("learning-rate", r.learning_rate);
  scalar("batch-size", static_cast<double>(r.global_batch_size));
  scalar("grad-norm", r.grad_norm);
  scalar("iteration-time", r.step_ms / 1e3);
  scalar("throughput", r.tflops);
  scalar("throughput(tps)", r.tokens_per_s);
  scalar("mfu(%)", 100 * r.mfu);
  if (start_.source.config.moe.num_experts > 0) scalar("load_balancing_loss", r.aux_loss);
  if (config_.optimizer.moe_z_loss_coeff > 0) scalar("z_loss", r.z_loss);
  if (r.step % config_.run.log_interval == 0) tensorboard_->flush();
}

void Session::validate(int64_t step) {
  if (config_.run.eval_iters == 0 || (!parts_.valid && !config_.data.mock_data)) return;
  const int64_t samples = config_.run.eval_iters * config_.optimizer.global_batch_size;
  // Mock data of numbers that no training step reaches.
  const int64_t from = parts_.valid ? 0 : int64_t{1} << 40;
  summary_.valid_loss = trainer_->validate(samples_of(parts_.valid.get()), from, samples);
  listener_.line(validation_lines(step, summary_.valid_loss));
  if (!tensorboard_) return;
  tensorboard_->add_scalar("lm loss validation", static_cast<float>(summary_.valid_loss), step);
  tensorboard_->add_scalar("lm loss validation ppl",
                           static_cast<float>(std::exp(summary_.valid_loss)), step);
}

void Session::save(int64_t step) {
  if (config_.run.save.empty()) return;
  wait_for_save();
  TrainConfig arguments = config_;
  const CheckpointInfo info{.iteration = step,
                            .consumed_samples = samples_of_step(config_.optimizer, step).end(),
                            .arguments_json = fields_to_json(fields_of(arguments)).dump(),
                            .has_optimizer = !config_.run.no_save_optim};
  const fs::path tokenizer = !config_.data.tokenizer_model.empty()
                                 ? fs::path(config_.data.tokenizer_model)
                                 : start_.checkpoint.value_or(start_.source.folder);
  listener_.line(fmt::format("saving checkpoint at iteration {:7d} to {}", step, config_.run.save));
  last_saved_ = step;
  const auto write = [this, info, tokenizer](const TrainState& state) {
    const fs::path folder = save_checkpoint(config_.run.save, state, info, tokenizer);
    remove_old_checkpoints(config_.run.save, config_.run.keep_last);
    return folder;
  };
  if (!config_.run.async_save) {
    summary_.checkpoint = write(trainer_->state()).string();
    listener_.line(fmt::format("  successfully saved checkpoint from iteration {:7d} to {}", step,
                               config_.run.save));
    return;
  }
  if (!snapshot_)
    snapshot_ = std::make_unique<TrainState>(start_.source.config, config_.optimizer.bf16);
  snapshot_->copy_from(trainer_->state());
  saving_ = std::async(std::launch::async, [this, write] { return write(*snapshot_); });
}

void Session::wait_for_save() {
  if (!saving_.valid()) return;
  summary_.checkpoint = saving_.get().string();
  listener_.line(fmt::format("  successfully saved checkpoint from iteration {:7d} to {}",
                             last_saved_, config_.run.save));
}

void Session::dump_and_fail(int64_t step, const StepResult& result) {
  std::string where = "nowhere: no --save folder";
  if (!config_.run.save.empty()) {
    const GlobalBatch& batch = trainer_->batch();
    const fs::path path = fs::path(config_.run.save) / fmt::format("bad_batch_{}.json", step);
    write_file(path, nlohmann::json{{"step", step},
                                    {"tokens", batch.tokens},
                                    {"targets", batch.targets},
                                    {"positions", batch.positions},
                                    {"lengths", batch.lengths}}
                         .dump());
    where = path.string();
  }
  wait_for_save();
  fail("step {}: the loss is {} and the gradient norm {}; its batch was written to {}", step,
       result.lm_loss, result.grad_norm, where);
}

/// Megatron's words when the run must end before its last step; empty otherwise.
std::string Session::reason_to_exit(int64_t step) const {
  if (stop_.requested()) return "exiting program after receiving SIGTERM.";
  if (config_.run.exit_interval && step % *config_.run.exit_interval == 0)
    return fmt::format("exiting program at iteration {}", step);
  if (config_.run.exit_duration_in_mins &&
      seconds_since(began_) > 60 * *config_.run.exit_duration_in_mins)
    return fmt::format("exiting program after {} minutes", *config_.run.exit_duration_in_mins);
  return {};
}

}  // namespace

Summary run(const TrainConfig& config, ThreadPool& threads, const kernels::Table& table,
            const StopFlag& stop, Listener& listener) {
  return Session(config, threads, table, stop, listener).run();
}

}  // namespace moge::train
