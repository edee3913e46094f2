#include "moge/model/activations.h"

#include <gtest/gtest.h>

#include "moge/core/error.h"
#include "moge/model/model.h"
#include "moge/plan/activations.h"

namespace moge {
namespace {

/// Every kind of layer: grouped, plain and gated experts, dense, with and without q/k norm.
std::vector<ModelConfig> configs() {
  std::vector<ModelConfig> list = {preset_config("tiny"), preset_config("tiny-dense"),
                                   preset_config("demo")};
  ModelConfig gated = preset_config("tiny");  // qwen2_moe's shared expert, a dense layer between
  gated.moe.shared_gate = true;
  gated.moe.router_scale = false;
  gated.dense_width = 72;
  gated.layers[1].moe = false;
  list.push_back(gated);
  for (QkNorm norm : {QkNorm::kPerHead, QkNorm::kFullWidth}) {
    ModelConfig normed = preset_config("tiny");
    normed.moe.shared_width = 0;
    normed.qk_norm = norm;
    list.push_back(normed);
  }
  return list;
}

TEST(Activations, FormulasEqualWhatIsTaken) {
  for (const ModelConfig& c : configs())
    for (int64_t T : {1, 7, 128})
      for (DType dtype : {DType::kF32, DType::kBF16})
        for (Keep keep : {Keep::kTraining, Keep::kInference, Keep::kFusedInference})
          for (Recompute recompute : {Recompute::kOff, Recompute::kSelective, Recompute::kFull})
            for (int64_t l = 0; l < 2; ++l) {
              int64_t own = 0, shared = 0, gradients = 0;
              const auto count = [](int64_t& sum) {
                return [&sum](int64_t bytes) -> void* {
                  sum += static_cast<int64_t>(Arena::padded(static_cast<size_t>(bytes)));
                  return nullptr;
                };
              };
              make_activations(count(own), count(shared), c, l, T, dtype, keep, recompute);
              make_gradients(count(gradients), c, l, T, dtype);
              const int64_t width = size_of(dtype);
              const plan::ActivationBytes want =
                  keep == Keep::kTraining
                      ? plan::layer_activation_bytes(c, l, T, width, recompute)
                      : plan::ActivationBytes{.workspace = plan::layer_inference_bytes(
                                                  c, l, T, width, keep == Keep::kFusedInference)};
              EXPECT_EQ(own, want.kept);
              EXPECT_EQ(shared, want.workspace);
              EXPECT_EQ(gradients, plan::layer_gradient_bytes(c, l, T, width));
            }
}

TEST(Activations, AStepTakesExactlyItsBytes) {
  for (const ModelConfig& c : configs())
    for (DType dtype : {DType::kF32, DType::kBF16})
      for (Recompute recompute : {Recompute::kOff, Recompute::kSelective, Recompute::kFull}) {
        const int64_t bytes = plan::step_activation_bytes(c, 64, size_of(dtype), recompute).total();
        Arena arena(static_cast<size_t>(bytes));
        const StepBuffers buffers(arena, c, 64, dtype, recompute);
        EXPECT_EQ(static_cast<int64_t>(arena.used()), bytes);
      }
}

}  // namespace
}  // namespace moge
