#include "moge/train/run.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "moge/config/model_choice.h"
#include "moge/core/error.h"
#include "moge/core/files.h"
#include "moge/core/test_errors.h"
#include "moge/train/batches.h"
#include "moge/train/mock_data.h"
#include "moge/train/run_folder.h"
#include "moge/train/trainer.h"

namespace moge::train {
namespace {

namespace fs = std::filesystem;

class Silent final : public Listener {
 public:
  void line(std::string_view text) override { lines += std::string(text) + "\n"; }
  void step(const StepReport& report) override {
    losses.push_back(report.lm_loss);
    if (stop && report.step == stop_at) stop->request();
  }
  std::string lines;
  std::vector<double> losses;
  StopFlag* stop = nullptr;
  int64_t stop_at = 0;
};

/// A model that trains 40 steps in a second.
TrainConfig small_run(const fs::path& save, int64_t steps) {
  TrainConfig config;
  config.model.model = "preset:tiny";
  config.model.num_layers = 2;
  config.model.hidden_size = 32;
  config.model.num_attention_heads = 2;
  config.model.num_query_groups = 1;
  config.model.kv_channels = 16;
  config.model.moe_ffn_hidden_size = 16;
  config.model.moe_shared_expert_intermediate_size = 16;
  config.model.vocab_size = 64;
  config.data.mock_data = true;
  config.data.seq_length = 16;
  config.optimizer.micro_batch_size = 2;
  config.optimizer.global_batch_size = 4;
  config.optimizer.train_iters = steps;
  config.optimizer.moe_aux_loss_coeff = 0.01;
  config.optimizer.moe_z_loss_coeff = 0.001;
  config.run.save = save.string();
  config.run.eval_iters = 1;
  config.run.keep_last = 0;
  return config;
}

class TrainRun : public testing::Test {
 protected:
  TrainRun() : folder_(fs::temp_directory_path() / ("moge_train_" + std::to_string(getpid()))) {
    fs::remove_all(folder_);
  }
  ~TrainRun() override { fs::remove_all(folder_); }

  Summary train(const TrainConfig& config, int threads = 2) {
    ThreadPool pool(threads);
    listener_ = Silent();
    listener_.stop = &stop_;
    listener_.stop_at = stop_at_;
    return run(config, pool, kernels::choose_table(), stop_, listener_);
  }
  /// All files of a checkpoint that hold numbers.
  static std::string bits(const std::string& checkpoint) {
    std::string all;
    for (const char* name :
         {"model.safetensors", "training_state/exp_avg.safetensors",
          "training_state/exp_avg_sq.safetensors", "training_state/master.safetensors"})
      if (fs::exists(fs::path(checkpoint) / name)) all += read_file(fs::path(checkpoint) / name);
    return all;
  }
  std::string refusal(const TrainConfig& config) {
    return message_of([&] { train(config); });
  }

  fs::path folder_;
  Silent listener_;
  StopFlag stop_;
  int64_t stop_at_ = 0;
};

TEST_F(TrainRun, FortyStepsEqualTwentyARestartAndTwenty) {
  for (bool bf16 : {false, true}) {
    TrainConfig straight = small_run(folder_ / (bf16 ? "b" : "f") / "straight", 40);
    straight.optimizer.bf16 = bf16;
    const Summary whole = train(straight);
    const std::vector<double> losses = listener_.losses;
    TrainConfig halves = straight;
    halves.run.save = (folder_ / (bf16 ? "b" : "f") / "halves").string();
    halves.run.exit_interval = 20;
    EXPECT_EQ(train(halves).steps, 20);
    const Summary resumed = train(halves);
    EXPECT_EQ(resumed.steps, 40);
    EXPECT_EQ(listener_.losses, std::vector<double>(losses.begin() + 20, losses.end()));
    EXPECT_EQ(bits(whole.checkpoint), bits(resumed.checkpoint));
    EXPECT_FALSE(bits(whole.checkpoint).empty());
    // metrics.jsonl holds every step once.
    const std::string metrics = read_file(fs::path(halves.run.save) / "metrics.jsonl");
    EXPECT_EQ(std::count(metrics.begin(), metrics.end(), '\n'), 40);
  }
}

TEST_F(TrainRun, AGrowingBatchResumesToTheSameBits) {
  TrainConfig straight = small_run(folder_ / "straight", 0);
  straight.optimizer.global_batch_size = 8;
  straight.optimizer.train_samples = 100;
  straight.optimizer.rampup_batch_size = {2, 2, 40};
  straight.optimizer.lr_warmup_samples = 20;
  const Summary whole = train(straight);
  const std::vector<double> losses = listener_.losses;
  const int64_t steps = total_steps(straight.optimizer);
  EXPECT_EQ(whole.steps, steps);
  EXPECT_EQ(whole.tokens, samples_of_step(straight.optimizer, steps).end() * 16);
  TrainConfig parts = straight;
  parts.run.save = (folder_ / "parts").string();
  parts.run.exit_interval = 5;  // inside the ramp, and again
  EXPECT_EQ(train(parts).steps, 5);
  EXPECT_EQ(train(parts).steps, 10);
  parts.run.exit_interval.reset();
  const Summary resumed = train(parts);
  EXPECT_EQ(resumed.steps, steps);
  EXPECT_EQ(listener_.losses, std::vector<double>(losses.begin() + 10, losses.end()));
  EXPECT_EQ(bits(whole.checkpoint), bits(resumed.checkpoint));
  EXPECT_FALSE(bits(whole.checkpoint).empty());
}

TEST_F(TrainRun, ResumingWithOtherBatchSizesIsRefusedWithBothNumbers) {
  TrainConfig config = small_run(folder_ / "resized", 4);
  config.run.exit_interval = 2;
  EXPECT_EQ(train(config).steps, 2);
  const int64_t batch = config.optimizer.global_batch_size;
  config.optimizer.global_batch_size = 2 * batch;
  const std::string message = refusal(config);
  EXPECT_NE(message.find(fmt::format("{} samples", 2 * batch)), std::string::npos) << message;
  EXPECT_NE(message.find(fmt::format("would be {}", 4 * batch)), std::string::npos) << message;
  config.run.finetune = true;
  EXPECT_EQ(train(config).steps, 2);
}

TEST_F(TrainRun, TheSameSeedGivesTheSameBitsForAnyThreads) {
  std::string first;
  for (int threads : {1, 2, 3}) {
    const Summary summary = train(small_run(folder_ / std::to_string(threads), 5), threads);
    if (first.empty()) first = bits(summary.checkpoint);
    EXPECT_EQ(bits(summary.checkpoint), first) << threads << " threads";
  }
}

TEST_F(TrainRun, RecomputeChangesNoBit) {
  std::string first;
  for (Recompute recompute : {Recompute::kOff, Recompute::kSelective, Recompute::kFull}) {
    TrainConfig config = small_run(folder_ / std::to_string(static_cast<int>(recompute)), 5);
    config.optimizer.recompute_granularity = recompute;
    const std::string now = bits(train(config).checkpoint);
    if (first.empty()) first = now;
    EXPECT_EQ(now, first);
  }
}

TEST_F(TrainRun, AsyncSavesHoldTheSameBits) {
  TrainConfig config = small_run(folder_ / "sync", 9);
  config.run.save_interval = 3;
  train(config);
  const std::string sync = bits(checkpoint_path(config.run.save, 6));
  config.run.save = (folder_ / "async").string();
  config.run.async_save = true;
  train(config);
  EXPECT_EQ(bits(checkpoint_path(config.run.save, 6)), sync);
  EXPECT_EQ(list_checkpoints(config.run.save), (std::vector<int64_t>{3, 6, 9}));
}

TEST_F(TrainRun, AStopRequestSavesAndEndsCleanly) {
  stop_at_ = 7;
  const Summary summary = train(small_run(folder_ / "stopped", 100));
  EXPECT_EQ(summary.steps, 7);
  EXPECT_EQ(summary.exit_reason, "exiting program after receiving SIGTERM.");
  EXPECT_EQ(newest_checkpoint(folder_ / "stopped"), 7);
}

TEST_F(TrainRun, AChangedCheckpointIsRefusedByName) {
  TrainConfig config = small_run(folder_ / "damaged", 2);
  const Summary summary = train(config);
  const fs::path file = fs::path(summary.checkpoint) / "training_state" / "exp_avg.safetensors";
  std::string bytes = read_file(file);
  bytes[bytes.size() - 3] ^= 1;
  write_file(file, bytes);
  config.optimizer.train_iters = 4;
  EXPECT_NE(refusal(config).find("exp_avg.safetensors"), std::string::npos);
  fs::remove(file);
  EXPECT_NE(refusal(config).find("is missing"), std::string::npos);
}

TEST_F(TrainRun, WrongOptionsAreRefusedWithTheNumbers) {
  TrainConfig config = small_run(folder_ / "a", 1);
  config.optimizer.global_batch_size = 5;
  EXPECT_NE(refusal(config).find("5 is not a multiple of --micro-batch-size 2"), std::string::npos);
  config = small_run(folder_ / "b", 1);
  config.data.seq_length = 1 << 19;
  EXPECT_NE(refusal(config).find("longer than the model's context"), std::string::npos);
  config = small_run(folder_ / "c", 1);
  config.data.mock_data = false;
  EXPECT_NE(refusal(config).find("no data"), std::string::npos);
  config = small_run(folder_ / "d", 1);
  config.model.moe_router_topk = 6;
  EXPECT_NE(refusal(config).find("6"), std::string::npos);
  config = small_run(folder_ / "e", 1);
  config.run.load = (folder_ / "nowhere").string();
  EXPECT_NE(refusal(config).find("there is no checkpoint"), std::string::npos);
  const RunLock lock(folder_ / "f");
  EXPECT_NE(refusal(small_run(folder_ / "f", 1)).find("is training in this folder"),
            std::string::npos);
}

TEST_F(TrainRun, ALossThatIsNoNumberStopsTheRunAndDumpsItsBatch) {
  TrainConfig config = small_run(folder_ / "nan", 50);
  config.optimizer.lr = config.optimizer.min_lr = 1e30;
  config.optimizer.clip_grad = 0;
  const std::string message = refusal(config);
  EXPECT_NE(message.find("bad_batch_"), std::string::npos) << message;
  const size_t at = message.find(folder_.string());
  ASSERT_NE(at, std::string::npos);
  const auto dump = nlohmann::json::parse(read_file(message.substr(at)));
  EXPECT_EQ(dump["tokens"].size(), 4u * 16u);
}

TEST_F(TrainRun, GroupedChoiceIsBalancedWhateverTheRouterSays) {
  const TrainConfig config = small_run(folder_, 1);
  ThreadPool pool(2);
  const ModelConfig model = with_overrides(preset_config("tiny"), config.model);
  Trainer trainer(pool, kernels::choose_table(), model, config.data, config.optimizer);
  init_params(pool, model, 3, trainer.state().weights());
  ExpertCounts counts;
  for (float push : {0.0f, 1e3f, -1e3f}) {  // adversarial: all scores lean to one expert
    for (const LayerParams& layer : trainer.state().weights().layers)
      layer.w_router_ED.as<float>()[0] += push;
    counts.clear(model);
    trainer.step(1, mock_samples(1, model.vocab_size), &counts);
    const int64_t E = model.moe.num_experts, G = model.moe.num_groups;
    for (int64_t group = 0; group < model.num_layers() * G; ++group) {
      int64_t rows = 0;
      for (int64_t e = 0; e < E / G; ++e)
        rows += counts.routed[static_cast<size_t>(group * (E / G) + e)];
      EXPECT_EQ(rows, 4 * 16 * model.moe.top_k / G);
    }
  }
}

TEST_F(TrainRun, TheArenaTakesExactlyWhatTheFormulaSays) {
  for (bool bf16 : {false, true})
    for (Recompute recompute : {Recompute::kOff, Recompute::kSelective, Recompute::kFull}) {
      TrainConfig config = small_run(folder_, 1);
      config.optimizer.bf16 = bf16;
      config.optimizer.recompute_granularity = recompute;
      ThreadPool pool(2);
      const ModelConfig model = with_overrides(preset_config("tiny"), config.model);
      Trainer trainer(pool, kernels::choose_table(), model, config.data, config.optimizer);
      trainer.step(1, mock_samples(1, model.vocab_size));
      EXPECT_EQ(trainer.predicted_activation_bytes(), trainer.used_activation_bytes());
    }
}

}  // namespace
}  // namespace moge::train
