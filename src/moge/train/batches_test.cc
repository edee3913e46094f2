#include "moge/train/batches.h"

#include <gtest/gtest.h>

#include "moge/core/error.h"
#include "moge/train/schedule.h"

namespace moge::train {
namespace {

OptimizerConfig ramp_config() {
  OptimizerConfig c;
  c.micro_batch_size = 2;
  c.global_batch_size = 8;
  c.train_samples = 100;
  c.rampup_batch_size = {2, 2, 24};
  return c;
}

TEST(Batches, WithoutARampAllAreEqual) {
  OptimizerConfig c;
  c.global_batch_size = 8;
  c.train_iters = 7;
  for (int64_t step : {1, 2, 7}) {
    EXPECT_EQ(samples_of_step(c, step).first, (step - 1) * 8);
    EXPECT_EQ(samples_of_step(c, step).count, 8);
  }
  EXPECT_EQ(total_steps(c), 7);
  c.train_samples = 47;  // the last 7 would be a part of a batch
  EXPECT_EQ(total_steps(c), 5);
}

/// The rule as it is told: the batch grows by one increment after each equal share of the ramp.
TEST(Batches, FollowTheSamplesConsumed) {
  for (std::vector<int64_t> ramp : {std::vector<int64_t>{2, 2, 24},
                                    {2, 2, 23},
                                    {2, 6, 1},
                                    {4, 2, 0},
                                    {8, 2, 50},
                                    {2, 2, 1000}}) {
    OptimizerConfig c = ramp_config();
    c.rampup_batch_size = ramp;
    int64_t consumed = 0;
    for (int64_t step = 1; step < 400; ++step) {
      const int64_t stages = (8 - ramp[0]) / ramp[1];
      const int64_t grown = consumed >= ramp[2] ? stages : consumed * stages / ramp[2];
      const StepSamples samples = samples_of_step(c, step);
      ASSERT_EQ(samples.first, consumed) << "step " << step;
      ASSERT_EQ(samples.count, ramp[0] + grown * ramp[1]) << "step " << step;
      consumed = samples.end();
    }
  }
}

TEST(Batches, StepsFillTheSamplesAndNoMore) {
  OptimizerConfig c = ramp_config();
  for (int64_t samples : {0, 1, 2, 24, 25, 100, 1000}) {
    c.train_samples = samples;
    const int64_t steps = total_steps(c);
    EXPECT_LE(samples_of_step(c, steps).end(), samples);
    EXPECT_GT(samples_of_step(c, steps + 1).end(), samples);
  }
}

TEST(Batches, TheLearningRateFollowsSamples) {
  OptimizerConfig c = ramp_config();
  c.lr = 1;
  c.min_lr = 0;
  c.lr_decay_style = DecayStyle::kLinear;
  c.lr_warmup_samples = 4;
  EXPECT_DOUBLE_EQ(learning_rate(c, 1), 0.5);  // 2 of 4 samples
  EXPECT_DOUBLE_EQ(learning_rate(c, 2), 1.0);
  for (int64_t step : {5, 9}) {
    const auto end = static_cast<double>(samples_of_step(c, step).end());
    EXPECT_DOUBLE_EQ(learning_rate(c, step), 1 - (end - 4) / 96);
  }
  c.rampup_batch_size.clear();  // equal batches: the same as steps
  OptimizerConfig by_steps = c;
  by_steps.train_samples.reset();
  c.train_samples = 80;
  c.lr_warmup_samples = 16;
  by_steps.train_iters = 10;
  by_steps.lr_warmup_iters = 2;
  for (int64_t step = 1; step <= 10; ++step)
    EXPECT_DOUBLE_EQ(learning_rate(c, step), learning_rate(by_steps, step));
}

TEST(Batches, WrongNumbersAreRefused) {
  const auto refused = [](auto change) {
    OptimizerConfig c = ramp_config();
    change(c);
    try {
      check_batches(c);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  using C = OptimizerConfig;
  EXPECT_EQ(refused([](C&) {}), "");
  EXPECT_NE(refused([](C& c) {
              c.rampup_batch_size = {2, 2};
            }).find("2 numbers"),
            std::string::npos);
  EXPECT_NE(refused([](C& c) { c.train_samples.reset(); }).find("--train-samples"),
            std::string::npos);
  EXPECT_NE(refused([](C& c) {
              c.rampup_batch_size = {2, 4, 9};
            }).find("8 is not reached"),
            std::string::npos);
  EXPECT_NE(refused([](C& c) {
              c.rampup_batch_size = {1, 1, 9};
            }).find("not multiples"),
            std::string::npos);
  EXPECT_NE(refused([](C& c) {
              c.rampup_batch_size = {2, 0, 9};
            }).find("out of range"),
            std::string::npos);
}

}  // namespace
}  // namespace moge::train
