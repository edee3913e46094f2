#include "moge/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace moge::train {

double learning_rate(const OptimizerConfig& c, int64_t step) {
  const int64_t end = c.lr_decay_iters.value_or(c.train_iters);
  const int64_t warmup = c.lr_warmup_fraction > 0
                             ? static_cast<int64_t>(c.lr_warmup_fraction * static_cast<double>(end))
                             : c.lr_warmup_iters;
  if (step <= warmup) return c.lr * static_cast<double>(step) / static_cast<double>(warmup);
  if (c.lr_decay_style == DecayStyle::kConstant) return c.lr;
  if (step >= end) return c.min_lr;
  const int64_t begin =
      c.lr_decay_style == DecayStyle::kWsd ? std::max(warmup, end - c.lr_wsd_decay_iters) : warmup;
  if (step <= begin) return c.lr;
  const double done = static_cast<double>(step - begin) / static_cast<double>(end - begin);
  const double left = c.lr_decay_style == DecayStyle::kCosine
                          ? 0.5 * (1.0 + std::cos(std::numbers::pi * done))
                          : 1.0 - done;
  return c.min_lr + (c.lr - c.min_lr) * left;
}

}  // namespace moge::train
