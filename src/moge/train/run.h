// A whole training run: data, model, steps, validation, logs, checkpoints, resume, signals.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "moge/config/train_config.h"
#include "moge/core/stop_flag.h"
#include "moge/kernels/table.h"
#include "moge/runtime/thread_pool.h"
#include "moge/train/metrics.h"

namespace moge::train {

/// Hears what happens; all on the calling thread.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual void line(std::string_view text) = 0;     ///< a log line
  virtual void step(const StepReport& report) = 0;  ///< after every step
};

struct Summary {
  int64_t steps = 0;       ///< optimizer steps made, those before a resume included
  int64_t tokens = 0;      ///< trained on by this process
  double lm_loss = 0;      ///< of the last step
  double valid_loss = -1;  ///< of the last validation; -1 = none was made
  double tokens_per_s = 0, mfu = 0, wall_s = 0;
  std::string checkpoint;     ///< folder of the last checkpoint; empty = none
  std::string balance_table;  ///< the last balance report for people; empty for a dense model
  std::string exit_reason;    ///< empty: all steps were made
};

/// Runs until --train-iters, a stop request, or an --exit-* rule; then saves. Throws Error.
Summary run(const TrainConfig& config, ThreadPool& threads, const kernels::Table& table,
            const StopFlag& stop, Listener& listener);

}  // namespace moge::train
