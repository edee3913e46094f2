#include "moge/model/params.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "moge/runtime/arena.h"

namespace moge {
namespace {

TEST(Params, CountsArePaperTable1) {
  const ModelConfig pangu = preset_config("pangu-pro-72b-a16b");
  EXPECT_EQ(count_params(pangu), 71'988'781'056);
  EXPECT_EQ(count_active_params(pangu), 16'498'139'136);
}

TEST(Params, PartsCoverTheirTensorsInOrder) {
  for (const std::string& name : preset_names()) {
    int64_t next = 0;
    std::set<std::string> names;
    for (const ParamTensor& t : list_params(preset_config(name))) {
      EXPECT_GE(t.offset, next) << t.name;
      EXPECT_EQ(t.offset % 16, 0) << t.name;
      next = t.offset + t.numel;
      int64_t covered = 0;
      for (const CheckpointPart& part : t.parts) {
        EXPECT_EQ(part.first, covered) << part.name;
        covered += part.numel;
        EXPECT_TRUE(names.insert(part.name).second) << part.name;
      }
      EXPECT_EQ(covered, t.numel) << t.name;
    }
  }
}

TEST(Params, InitIsAFunctionOfSeedNameAndElement) {
  const ModelConfig config = preset_config("tiny");
  Buffer a(static_cast<size_t>(flat_size(list_params(config))) * sizeof(float));
  Buffer b(a.size());
  const Params one = view_params(config, a.as<float>()), two = view_params(config, b.as<float>());
  ThreadPool single(1), pair(2);
  init_params(single, config, 5, one);
  init_params(pair, config, 5, two);
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size()), 0) << "threads must not matter";
  std::map<std::string, Tensor> tensors;
  for_each_checkpoint_tensor(
      config, one,
      [&](const std::string& name, const Tensor& t, TensorKind) { tensors[name] = t; });
  const Tensor up = tensors.at("model.layers.2.mlp.experts.11.up_proj.weight");
  EXPECT_EQ(up.shape[0], 96);
  float values[3];
  init_elements(config, 5, "model.layers.2.mlp.experts.11.up_proj.weight", TensorKind::kMatrix, 100,
                103, values);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(up.as<float>()[100 + i], values[i]);
  double square = 0;
  for (int64_t i = 0; i < up.numel(); ++i) square += up.as<float>()[i] * up.as<float>()[i];
  EXPECT_NEAR(std::sqrt(square / static_cast<double>(up.numel())), 0.02, 0.001);
  EXPECT_EQ(tensors.at("model.layers.0.mlp.router_scale").as<float>()[3], 1.0f);
  EXPECT_EQ(tensors.at("model.layers.0.self_attn.o_proj.bias").as<float>()[3], 0.0f);
}

}  // namespace
}  // namespace moge
