// moge train: Megatron's options, log lines and files.
#include "moge/train/batches.h"
#include "moge/train/run.h"

#include <nlohmann/json.hpp>

#include "cli.h"
#include "commands.h"
#include "moge/core/error.h"

namespace moge {

namespace {

/// Log lines and a progress bar on stderr.
class Console final : public train::Listener {
 public:
  Console(Run& run, int64_t steps) : run_(run), progress_(run.progress("train", steps)) {}
  void line(std::string_view text) override {
    progress_.clear();
    run_.note(text);
  }
  void step(const train::StepReport& report) override {
    progress_.update(report.step, fmt::format("loss {:.3f}, {:.0f} tokens/s", report.lm_loss,
                                              report.tokens_per_s));
  }

 private:
  Run& run_;
  Progress progress_;
};

struct TrainOptions : TrainConfig {
  void visit(FieldList& v) {
    TrainConfig::visit(v);
    v("seed", seed, "of weights and sample order");
  }
};

nlohmann::ordered_json to_json(const train::Summary& s) {
  nlohmann::ordered_json object = {{"steps", s.steps},
                                   {"tokens", s.tokens},
                                   {"lm_loss", s.lm_loss},
                                   {"valid_loss", nullptr},
                                   {"tokens_per_s", s.tokens_per_s},
                                   {"mfu", s.mfu},
                                   {"wall_s", s.wall_s},
                                   {"checkpoint", nullptr}};
  if (s.valid_loss >= 0) object["valid_loss"] = s.valid_loss;
  if (!s.checkpoint.empty()) object["checkpoint"] = s.checkpoint;
  return object;
}

void train_model(TrainOptions& options, Run& run) {
  StopFlag& stop = run.stop();
  train::Summary summary;
  {
    Console console(run, train::total_steps(options.optimizer));
    summary = train::run(options, run.pool(), run.table(), stop, console);
  }
  run.result(to_json(summary));
  if (!run.json() && !summary.balance_table.empty()) run.out("\n" + summary.balance_table);
}

}  // namespace

void add_train(Cli& cli) { cli.add<TrainOptions>("train", "Train a model", train_model); }

}  // namespace moge
