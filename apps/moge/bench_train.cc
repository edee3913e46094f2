// moge bench train: whole optimizer steps (forward, backward, clipping, AdamW) on random tokens.
#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli.h"
#include "commands.h"
#include "median.h"
#include "moge/model/load.h"
#include "moge/ops/peaks.h"
#include "moge/plan/flops.h"
#include "moge/train/mock_data.h"
#include "moge/train/trainer.h"

namespace moge {

namespace {

struct BenchTrainOptions {
  std::string model = "preset:small", dtype = "fp32";
  int64_t sequences = 8, seq_length = 0, steps = 9, warmup = 3;

  void visit(FieldList& v) {
    v("model", model, "preset:NAME or a model folder").positional();
    v("dtype", dtype, "of the products").one_of({"fp32", "bf16"});
    v("sequences", sequences, "sequences of one step").at_least(1);
    v("seq-length", seq_length, "tokens of a sequence; 0: 256 (tiny) or 512").at_least(0);
    v("steps", steps, "steps that count; the median is reported").at_least(1);
    v("warmup", warmup, "steps before them").at_least(0);
  }
};

std::vector<double> time_steps(train::Trainer& trainer, const train::SampleSource& source,
                               const BenchTrainOptions& options, Run& run) {
  Progress progress = run.progress("bench train", options.warmup + options.steps);
  std::vector<double> step_ms;
  for (int64_t step = 1; step <= options.warmup + options.steps; ++step) {
    const auto start = std::chrono::steady_clock::now();
    trainer.step(step, source);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    if (step > options.warmup) step_ms.push_back(took.count());
    progress.update(step, fmt::format("{:.1f} ms", took.count()));
  }
  return step_ms;
}

void bench_train(BenchTrainOptions& options, Run& run) {
  const ModelSource source = find_model(options.model);
  const ModelConfig& config = source.config;
  DataConfig data{.mock_data = true};
  data.seq_length = options.seq_length > 0     ? options.seq_length
                    : config.hidden_size < 256 ? 256
                                               : 512;
  OptimizerConfig optimizer;
  optimizer.micro_batch_size = optimizer.global_batch_size = options.sequences;
  optimizer.bf16 = options.dtype == "bf16";
  optimizer.lr = optimizer.min_lr = 1e-3;
  optimizer.train_iters = options.warmup + options.steps;
  const auto peak_now = [&] {
    return measure_gflops(run.pool(), run.table().peak,
                          optimizer.bf16 ? DType::kBF16 : DType::kF32);
  };
  const double peak_before = peak_now();
  train::Trainer trainer(run.pool(), run.table(), config, data, optimizer);
  init_params(run.pool(), config, run.common().seed, trainer.state().weights());
  trainer.state().refresh_bf16(trainer.context());
  const auto tokens_source = train::mock_samples(run.common().seed, config.vocab_size);
  const std::vector<double> step_ms = time_steps(trainer, tokens_source, options, run);
  const double peak = std::max(peak_before, peak_now());
  const double seconds = median(step_ms) / 1e3;
  const double tokens = static_cast<double>(options.sequences * data.seq_length);
  const double gflops =
      plan::train_flops_per_token(config, data.seq_length) * tokens / seconds / 1e9;
  run.result({{"model", source.name},
              {"dtype", options.dtype},
              {"sequences", options.sequences},
              {"seq_length", data.seq_length},
              {"threads", run.num_threads()},
              {"isa", run.table().isa},
              {"tokens_per_s", tokens / seconds},
              {"step_ms", seconds * 1e3},
              {"gflops", gflops},
              {"mfu", gflops / peak},
              {"peak_gflops", peak},
              {"state_bytes", train::TrainState::bytes(config, optimizer.bf16)},
              {"activation_bytes", trainer.used_activation_bytes()},
              {"predicted_activation_bytes", trainer.predicted_activation_bytes()}});
}

}  // namespace

void add_bench_train(Cli& cli) {
  cli.add<BenchTrainOptions>("bench train", "Speed of training steps", bench_train);
}

}  // namespace moge
