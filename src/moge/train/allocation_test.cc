// A training step allocates nothing.
#include <gtest/gtest.h>

#include "moge/core/test_allocations.h"
#include "moge/train/mock_data.h"
#include "moge/train/trainer.h"

namespace moge::train {
namespace {

/// Allocations of three steps and a validation after one of each.
int64_t allocations_of_steps(const ModelConfig& model, const OptimizerConfig& optimizer) {
  ThreadPool pool(2);
  const DataConfig data{.seq_length = 16, .mock_data = true};
  Trainer trainer(pool, kernels::choose_table(), model, data, optimizer);
  init_params(pool, model, 1, trainer.state().weights());
  trainer.state().refresh_bf16(trainer.context());
  const SampleSource source = mock_samples(1, model.vocab_size);
  ExpertCounts counts;
  counts.clear(model);
  const auto step = [&](int64_t number) {
    EXPECT_TRUE(trainer.step(number, source, number % 2 ? &counts : nullptr).finite);
    trainer.validate(source, 1000, 2);
  };
  step(1);
  const int64_t before = num_allocations.load();
  for (int64_t number : {2, 3, 4}) step(number);
  return num_allocations.load() - before;
}

/// One layer, few tokens in the vocabulary: everything that a step does, in milliseconds.
ModelConfig one_layer(const char* preset) {
  ModelConfig model = preset_config(preset);
  model.layers.resize(1);
  model.vocab_size = 256;
  return model;
}

TEST(Allocations, ATrainingStepMakesNone) {
  for (const char* preset : {"tiny", "tiny-dense"})
    for (bool bf16 : {false, true})
      for (Recompute recompute : {Recompute::kOff, Recompute::kSelective, Recompute::kFull}) {
        OptimizerConfig optimizer;
        optimizer.micro_batch_size = 2;
        optimizer.global_batch_size = 4;
        optimizer.train_iters = 10;
        optimizer.bf16 = bf16;
        optimizer.recompute_granularity = recompute;
        optimizer.moe_z_loss_coeff = 0.001;
        EXPECT_EQ(allocations_of_steps(one_layer(preset), optimizer), 0)
            << preset << (bf16 ? " bf16" : " fp32") << " recompute " << static_cast<int>(recompute);
      }
}

TEST(Allocations, AreCounted) {
  const int64_t before = num_allocations.load();
  const std::vector<int32_t> some(1000, 1);
  EXPECT_EQ(num_allocations.load(), before + 1) << some.data();
}

}  // namespace
}  // namespace moge::train
