#include "moge/plan/parameters.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "moge/core/test_paths.h"
#include "moge/plan/flops.h"

namespace moge::plan {
namespace {

// ../shared/reference/pangu-pro-moe.md 1.2
TEST(Parameters, OfPanguProMoeAreExact) {
  const ModelConfig config = preset_config("pangu-pro-72b-a16b");
  EXPECT_EQ(total_parameters(config).sum(), 71'988'781'056);
  EXPECT_EQ(active_parameters(config).sum(), 16'498'139'136);
  EXPECT_EQ(layer_parameters(config, 0, 64).sum(), 1'467'045'952);
  EXPECT_EQ(expert_parameters(config), 20'643'840);
  EXPECT_EQ(kv_bytes_per_token(config, 2), 196'608);
  EXPECT_EQ(kv_bytes_per_token(config, 1), 98'304 + 48 * 2 * 8 * 4);  // scales: 3 % more
}

TEST(Parameters, ActiveOnesAreTheMatricesOfATokenAndTheEmbedding) {
  for (const std::string& name : preset_names()) {
    const ModelConfig config = preset_config(name);
    const int64_t embedding = config.tied_embeddings ? 0 : config.vocab_size * config.hidden_size;
    EXPECT_EQ(active_parameters(config).matrices, matrix_params_per_token(config) + embedding)
        << name;
  }
}

TEST(Parameters, TakeTheirFormatsBytes) {
  const ParameterCount count{1000, 10};
  EXPECT_EQ(weight_bytes(count, WeightBytes::kFp32), 4040);
  EXPECT_EQ(weight_bytes(count, WeightBytes::kBf16), 2040);
  EXPECT_EQ(training_state_bytes(count, WeightBytes::kFp32), 16160);
  EXPECT_EQ(training_state_bytes(count, WeightBytes::kBf16), 18180);
}

/// The reference models' files hold exactly this many fp32 numbers: the file's size less its
/// header, which begins with its own length.
TEST(Parameters, OfTheReferenceModelsMatchTheirFiles) {
  const std::filesystem::path goldens = testing::shared_goldens();
  if (!std::filesystem::exists(goldens)) GTEST_SKIP() << goldens << " is not there";
  for (const char* family : {"pangu_pro_moe_a", "pangu_pro_moe_64", "olmoe", "mixtral", "qwen2_moe",
                             "qwen3_moe_norm", "llama_tied", "qwen3", "qwen2", "mistral"}) {
    const std::filesystem::path file = goldens / family / "model.safetensors";
    uint64_t header = 0;
    std::FILE* stream = std::fopen(file.c_str(), "rb");
    ASSERT_NE(stream, nullptr) << file;
    ASSERT_EQ(std::fread(&header, sizeof header, 1, stream), 1u);
    std::fclose(stream);
    const uint64_t numbers = (std::filesystem::file_size(file) - 8 - header) / 4;
    EXPECT_EQ(static_cast<uint64_t>(total_parameters(load_model_config(goldens / family)).sum()),
              numbers)
        << family;
  }
}

}  // namespace
}  // namespace moge::plan
