#include "moge/plan/activations.h"

#include <gtest/gtest.h>

namespace moge::plan {
namespace {

// That they equal what is taken is asserted where it is taken: model/activations_test.cc and
// train/run_test.cc.

TEST(Activations, RecomputingKeepsLess) {
  const ModelConfig c = preset_config("small");
  const auto kept = [&](Recompute recompute) {
    return layer_activation_bytes(c, 0, 512, /*element_bytes=*/2, recompute).kept;
  };
  EXPECT_LT(kept(Recompute::kSelective), kept(Recompute::kOff));
  EXPECT_LT(kept(Recompute::kFull), kept(Recompute::kSelective) / 4);
}

TEST(Activations, RecomputingMovesBytesToTheWorkspaceAndAddsNone) {
  const ModelConfig c = preset_config("tiny");
  const auto sum = [&](Recompute recompute) {
    const ActivationBytes bytes = layer_activation_bytes(c, 0, 128, 4, recompute);
    return bytes.kept + bytes.workspace;
  };
  EXPECT_EQ(sum(Recompute::kOff), sum(Recompute::kSelective));
  EXPECT_EQ(sum(Recompute::kOff), sum(Recompute::kFull));
}

TEST(Activations, AStepKeepsEveryLayerAndSharesTheLargestWorkspace) {
  const ModelConfig c = preset_config("tiny-dense");
  const int64_t T = 100, D = c.hidden_size;
  const StepBytes step = step_activation_bytes(c, T, 4, Recompute::kOff);
  const ActivationBytes layer = layer_activation_bytes(c, 0, T, 4, Recompute::kOff);
  EXPECT_EQ(step.kept,
            c.num_layers() * layer.kept + 3 * arena_bytes(4 * T * D) + 3 * arena_bytes(4 * T));
  EXPECT_EQ(step.workspace, layer.workspace);
  EXPECT_EQ(step.gradients, layer_gradient_bytes(c, 0, T, 4));
  EXPECT_EQ(step.total(), step.kept + arena_bytes(step.shared()));
}

TEST(Activations, LogitsExistInChunksOf16MiBButAtLeast256Rows) {
  ModelConfig c = preset_config("tiny");
  c.vocab_size = 1 << 14;
  EXPECT_EQ(head_chunk_rows(c, 100), 100);
  EXPECT_EQ(head_chunk_rows(c, 4096), 256);
  c.vocab_size = 1 << 20;
  EXPECT_EQ(head_chunk_rows(c, 4096), 256);
  c.vocab_size = 1 << 12;
  EXPECT_EQ(head_chunk_rows(c, 4096), 1024);
}

}  // namespace
}  // namespace moge::plan
