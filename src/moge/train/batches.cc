#include "moge/train/batches.h"

#include "moge/core/error.h"

namespace moge::train {

StepSamples samples_of_step(const OptimizerConfig& c, int64_t step) {
  const int64_t full = c.global_batch_size;
  int64_t first = 0, steps_before = step - 1;
  if (!c.rampup_batch_size.empty()) {
    const int64_t start = c.rampup_batch_size[0], increment = c.rampup_batch_size[1];
    const int64_t ramp = c.rampup_batch_size[2], stages = (full - start) / increment;
    for (int64_t stage = 0; stage < stages; ++stage) {
      const int64_t count = start + stage * increment;
      // The stage ends at (stage + 1) / stages of the ramp; a large batch may jump over it.
      const int64_t left = (stage + 1) * ramp - first * stages;
      const int64_t steps = left > 0 ? (left + stages * count - 1) / (stages * count) : 0;
      if (steps_before < steps) return {first + steps_before * count, count};
      first += steps * count;
      steps_before -= steps;
    }
  }
  return {first + steps_before * full, full};
}

int64_t total_steps(const OptimizerConfig& c) {
  if (!c.train_samples) return c.train_iters;
  int64_t fits = 0, too_many = *c.train_samples + 1;  // a step has at least one sample
  while (too_many - fits > 1) {
    const int64_t middle = fits + (too_many - fits) / 2;
    (samples_of_step(c, middle).end() <= *c.train_samples ? fits : too_many) = middle;
  }
  return fits;
}

void check_batches(const OptimizerConfig& c) {
  check(c.global_batch_size % c.micro_batch_size == 0,
        "--global-batch-size {} is not a multiple of --micro-batch-size {}", c.global_batch_size,
        c.micro_batch_size);
  if (c.rampup_batch_size.empty()) return;
  check(c.rampup_batch_size.size() == 3,
        "--rampup-batch-size has {} numbers, want START INCREMENT SAMPLES",
        c.rampup_batch_size.size());
  check(c.train_samples.has_value(), "--rampup-batch-size needs --train-samples");
  const int64_t start = c.rampup_batch_size[0], increment = c.rampup_batch_size[1];
  const int64_t ramp = c.rampup_batch_size[2];
  check(start >= 1 && increment >= 1 && ramp >= 0 && ramp <= int64_t{1} << 40,
        "--rampup-batch-size {} {} {}: out of range", start, increment, ramp);
  check(start <= c.global_batch_size && (c.global_batch_size - start) % increment == 0,
        "--rampup-batch-size: from {} in steps of {} --global-batch-size {} is not reached", start,
        increment, c.global_batch_size);
  check(start % c.micro_batch_size == 0 && increment % c.micro_batch_size == 0,
        "--rampup-batch-size {} {}: not multiples of --micro-batch-size {}", start, increment,
        c.micro_batch_size);
}

}  // namespace moge::train
