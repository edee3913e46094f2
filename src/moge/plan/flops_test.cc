#include "moge/plan/flops.h"

#include <gtest/gtest.h>

namespace moge::plan {
namespace {

TEST(Flops, OfPanguProMoeAreTheOnesThatItsTableGives) {
  const ModelConfig config = preset_config("pangu-pro-72b-a16b");
  // 16.498 B activated less the input embedding's 0.785 B; biases, norms and scales are no
  // matrices.
  EXPECT_NEAR(static_cast<double>(matrix_params_per_token(config)), 15.713e9, 0.002e9);
  EXPECT_NEAR(train_flops_per_token(config, 4096), 100.3e9, 0.1e9);
  EXPECT_NEAR(train_flops_per_token(config, 32768), 142.6e9, 0.1e9);
}

TEST(Flops, AWindowBoundsTheContextThatIsCounted) {
  ModelConfig config = preset_config("tiny");
  for (LayerConfig& layer : config.layers) layer.window = 2;
  // Tokens of a sequence of 4 see 1, 2, 2, 2 positions: 1.75 on average.
  const double per_layer = 4.0 * static_cast<double>(config.q_width()) * 1.75;
  EXPECT_DOUBLE_EQ(attention_flops_per_token(config, 4),
                   per_layer * static_cast<double>(config.num_layers()));
  for (LayerConfig& layer : config.layers) layer.window = 4;
  const ModelConfig full = preset_config("tiny");
  EXPECT_DOUBLE_EQ(attention_flops_per_token(config, 4), attention_flops_per_token(full, 4));
}

}  // namespace
}  // namespace moge::plan
