#include "moge/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "moge/train/batches.h"

namespace moge::train {

namespace {

/// The schedule's lengths and the place of a step, in steps or in samples.
struct Place {
  int64_t at, end, warmup, wsd_decay;
};

Place place_of(const OptimizerConfig& c, int64_t step) {
  Place p = c.train_samples ? Place{.at = samples_of_step(c, step).end(),
                                    .end = c.lr_decay_samples.value_or(*c.train_samples),
                                    .warmup = c.lr_warmup_samples,
                                    .wsd_decay = c.lr_wsd_decay_samples}
                            : Place{.at = step,
                                    .end = c.lr_decay_iters.value_or(c.train_iters),
                                    .warmup = c.lr_warmup_iters,
                                    .wsd_decay = c.lr_wsd_decay_iters};
  if (c.lr_warmup_fraction > 0)
    p.warmup = static_cast<int64_t>(c.lr_warmup_fraction * static_cast<double>(p.end));
  return p;
}

}  // namespace

double learning_rate(const OptimizerConfig& c, int64_t step) {
  const auto [at, end, warmup, wsd_decay] = place_of(c, step);
  if (at <= warmup) return c.lr * static_cast<double>(at) / static_cast<double>(warmup);
  if (c.lr_decay_style == DecayStyle::kConstant) return c.lr;
  if (at >= end) return c.min_lr;
  const int64_t begin =
      c.lr_decay_style == DecayStyle::kWsd ? std::max(warmup, end - wsd_decay) : warmup;
  if (at <= begin) return c.lr;
  const double done = static_cast<double>(at - begin) / static_cast<double>(end - begin);
  const double left = c.lr_decay_style == DecayStyle::kCosine
                          ? 0.5 * (1.0 + std::cos(std::numbers::pi * done))
                          : 1.0 - done;
  return c.min_lr + (c.lr - c.min_lr) * left;
}

}  // namespace moge::train
