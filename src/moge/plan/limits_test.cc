#include "moge/plan/limits.h"

#include <gtest/gtest.h>

#include "moge/plan/flops.h"

namespace moge::plan {
namespace {

// Weights of 16.5e9 active parameters less the embedding rows of the other tokens, in bf16, and
// 196,608 bytes of keys and values a token (../shared/reference/pangu-pro-moe.md 1.2).
TEST(Limits, OfPanguProMoe) {
  const ModelConfig c = preset_config("pangu-pro-72b-a16b");
  const MachineLimits machine{
      .memory_bytes = int64_t{160} << 30, .read_bytes_s = 100e9, .operations_s = 2e12};
  const Fit f = fit(c, WeightBytes::kBf16, 1000, machine);
  EXPECT_NEAR(static_cast<double>(f.weight_bytes), 2.0 * 71'988'781'056, 0.01e9);
  EXPECT_EQ(f.kv_bytes_per_token, 196'608);
  EXPECT_TRUE(f.fits);
  const int64_t embedding = c.vocab_size * c.hidden_size;
  const double read = 2.0 * static_cast<double>(16'498'139'136 - embedding) + 1000 * 196'608.0;
  EXPECT_NEAR(f.decode_tok_s, 100e9 / read, 1e-3 * f.decode_tok_s);
  const double attention = 4.0 * 500.5 * static_cast<double>(c.q_width() * c.num_layers());
  const double operations = 2.0 * static_cast<double>(16'498'139'136 - 2 * embedding) + attention;
  EXPECT_NEAR(f.prefill_tok_s, 2e12 / operations, 1e-3 * f.prefill_tok_s);
}

TEST(Limits, QuantizedFormatsTakeAQuarterAndAnEighth) {
  const ModelConfig c = preset_config("olmoe-1b-7b");
  const auto bytes = [&](WeightBytes format) {
    return static_cast<double>(inference_weight_bytes(c, format));
  };
  // Embedding and routers stay bf16; scales: 4 bytes of K, 2 of 128 values.
  const double rows = 50'304.0 * 2048, routers = 16 * 64.0 * 2048;
  const double quantized = (bytes(WeightBytes::kBf16) - 16 * 4 * 8192) / 2 - rows - routers;
  EXPECT_NEAR(bytes(WeightBytes::kW8A8), quantized + 2 * (rows + routers), 0.004 * quantized);
  EXPECT_NEAR(bytes(WeightBytes::kW4A8), quantized * (0.5 + 2.0 / 128) + 2 * (rows + routers),
              0.001 * quantized);
  const MachineLimits machine{.read_bytes_s = 1e9};
  EXPECT_NEAR(fit(c, WeightBytes::kBf16, 1, machine).decode_tok_s /
                  fit(c, WeightBytes::kW8A8, 1, machine).decode_tok_s,
              0.5, 0.01);
}

TEST(Limits, FitsToTheByte) {
  const ModelConfig c = preset_config("tiny");
  const int64_t need =
      inference_weight_bytes(c, WeightBytes::kFp32) + 100 * kv_bytes_per_token(c, 4);
  EXPECT_TRUE(fit(c, WeightBytes::kFp32, 100, {need, 1, 1}).fits);
  EXPECT_FALSE(fit(c, WeightBytes::kFp32, 100, {need - 1, 1, 1}).fits);
}

TEST(Limits, TiedEmbeddingsLieInMemoryTwice) {
  ModelConfig c = preset_config("tiny");
  c.tied_embeddings = false;
  const int64_t apart = inference_weight_bytes(c, WeightBytes::kBf16);
  c.tied_embeddings = true;
  EXPECT_EQ(inference_weight_bytes(c, WeightBytes::kBf16), apart);
  EXPECT_LT(weight_bytes(total_parameters(c), WeightBytes::kBf16), apart);
}

TEST(Limits, AWindowBoundsWhatIsRead) {
  ModelConfig c = preset_config("tiny");
  const auto read = [&](int64_t context) { return decode_bytes(c, WeightBytes::kBf16, context); };
  EXPECT_EQ(read(64) - read(0), 64 * kv_bytes_per_token(c, 2));
  for (LayerConfig& layer : c.layers) layer.window = 16;
  EXPECT_EQ(read(64), read(16));
  EXPECT_EQ(read(16) - read(0), 16 * kv_bytes_per_token(c, 2));
}

TEST(Limits, APromptOfOneTokenCostsAForwardPass) {
  const ModelConfig c = preset_config("demo");
  EXPECT_DOUBLE_EQ(
      prefill_flops_per_token(c, 1),
      2.0 * static_cast<double>(matrix_params_per_token(c)) + attention_flops_per_token(c, 1));
}

}  // namespace
}  // namespace moge::plan
