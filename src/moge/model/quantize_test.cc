// Quantized folders: what is written is what rounding to nearest gives, loading one gives the bits
// of rounding while loading, and a folder that is not whole or not understood is refused by name.
#include "moge/model/quantize.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "moge/core/error.h"
#include "moge/core/test_errors.h"
#include "moge/model/safetensors.h"
#include "moge/model/source.h"
#include "moge/plan/limits.h"
#include "moge/quant/round.h"

namespace moge {
namespace {

namespace fs = std::filesystem;

class Quantize : public ::testing::Test {
 protected:
  Quantize() : base_(fs::temp_directory_path() / fmt::format("moge_quantize_{}", ::getpid())) {
    fs::remove_all(base_);
    config_ = preset_config("tiny");
    config_.layers.resize(2);
    config_.vocab_size = 72;
  }
  ~Quantize() override { fs::remove_all(base_); }

  /// The fp32 folder that is quantized.
  ModelSource original() {
    if (!fs::exists(base_ / "fp32")) {
      Buffer memory(static_cast<size_t>(flat_size(list_params(config_))) * sizeof(float));
      const Params params = view_params(config_, memory.as<float>());
      init_params(threads_, config_, 5, params);
      save_model(base_ / "fp32", config_, params, DType::kF32);
      write_file(base_ / "fp32" / "chat_template.jinja", "{{ messages }}");
    }
    return find_model((base_ / "fp32").string());
  }
  fs::path quantize(QuantScheme scheme, bool keep_head = false) {
    const fs::path out = base_ / fmt::format("{}{}", name_of(scheme), keep_head ? "_head" : "");
    quantize_model(threads_, original(), out,
                   {.scheme = scheme, .keep_head = keep_head, .max_shard_bytes = 1'000'000},
                   [](int64_t) { return true; });
    return out;
  }
  LoadedModel load(const ModelSource& source, LoadOptions options) {
    return load_model(Context{threads_, kernels::choose_table(), scratch_}, source, options);
  }
  std::vector<TensorToWrite> tensors_of(const fs::path& folder) {
    opened_ = Checkpoint::open_folder(folder);
    std::vector<TensorToWrite> list;
    for (const auto& [name, t] : opened_.tensors())
      list.push_back({name, t.entry.dtype, t.entry.shape, [&t](FileWriter& out) {
                        out.write(t.data, static_cast<size_t>(t.entry.end - t.entry.begin));
                      }});
    return list;
  }
  /// What loading `folder` with its tensors changed says.
  std::string error_after(const fs::path& folder,
                          const std::function<void(std::vector<TensorToWrite>&)>& change) {
    auto list = tensors_of(folder);
    change(list);
    const fs::path copy = base_ / "changed";
    fs::remove_all(copy);
    fs::create_directories(copy);
    fs::copy_file(folder / "config.json", copy / "config.json");
    write_checkpoint(copy, list);
    return message_of([&] { load(find_model(copy.string()), {.dtype = DType::kF32}); });
  }

  ThreadPool threads_{2};
  Arena scratch_{size_t{16} << 20, "scratch"};
  fs::path base_;
  ModelConfig config_;
  Checkpoint opened_;
};

TEST_F(Quantize, TakesTheMemoryThatTheFormulaSays) {
  for (const auto& [scheme, format] : {std::pair{QuantScheme::kW8A8, plan::WeightBytes::kW8A8},
                                       std::pair{QuantScheme::kW4A8, plan::WeightBytes::kW4A8}}) {
    const auto taken = load(original(), {.scheme = scheme}).weight_bytes();
    const int64_t formula = plan::inference_weight_bytes(config_, format);
    EXPECT_GE(taken, formula);
    // Blocks begin at multiples of 64 bytes, and routers of 16 experts fill a panel of floats.
    EXPECT_LE(taken, formula + 2 * 64 * 16 + 2 * 2 * 48 * config_.hidden_size);
  }
}

TEST_F(Quantize, ValuesAreThoseOfRoundingToNearest) {
  const ModelSource source = original();
  const auto list = list_params(config_);
  const auto floats = open_weights(source, list, 0);
  for (QuantScheme scheme : {QuantScheme::kW8A8, QuantScheme::kW4A8}) {
    const ModelSource quantized = find_model(quantize(scheme).string());
    EXPECT_EQ(quantized.quantization.scheme, scheme);
    const auto weights = open_weights(quantized, list, 0);
    for (const ParamTensor& t : list)
      for (const CheckpointPart& part : t.parts) {
        std::vector<float> want(static_cast<size_t>(part.numel)), got(want.size());
        floats->read(t, part, 0, part.numel, want.data());
        weights->read(t, part, 0, part.numel, got.data());
        EXPECT_EQ(weights->gives(part, scheme), is_quantizable(t)) << part.name;
        if (is_quantizable(t)) {
          const int64_t k = part.shape[1];
          std::vector<int8_t> q(static_cast<size_t>(k));
          std::vector<BFloat16> scales(static_cast<size_t>(quant::num_groups(k)));
          for (float* row = want.data(); row < want.data() + want.size(); row += k) {
            float scale = 0;
            if (scheme == QuantScheme::kW8A8) {
              ASSERT_TRUE(quant::round_row_w8(row, k, q.data(), &scale));
              quant::expand_row_w8(q.data(), k, scale, row);
            } else {
              ASSERT_TRUE(quant::round_row_w4(row, k, q.data(), scales.data()));
              quant::expand_row_w4(q.data(), k, scales.data(), row);
            }
          }
        }
        EXPECT_EQ(std::memcmp(want.data(), got.data(), 4 * want.size()), 0) << part.name;
      }
  }
}

TEST_F(Quantize, LoadingAFolderPacksTheBitsOfRoundingWhileLoading) {
  for (QuantScheme scheme : {QuantScheme::kW8A8, QuantScheme::kW4A8})
    for (bool keep_head : {false, true}) {
      const LoadOptions options{.scheme = scheme, .keep_head = keep_head};
      const LoadedModel rounded = load(original(), options);
      const ModelSource folder = find_model(quantize(scheme, keep_head).string());
      const LoadedModel stored = load(folder, {});
      ASSERT_EQ(rounded.storage.size(), stored.storage.size());
      EXPECT_EQ(std::memcmp(rounded.storage.data(), stored.storage.data(), stored.storage.size()),
                0);
      EXPECT_EQ(stored.model.weights.lm_head_VD.quantized(), !keep_head);
      EXPECT_FALSE(stored.model.weights.layers[0].w_router_ED.quantized());
    }
}

TEST_F(Quantize, ATiedHeadGetsATensorOfItsOwn) {
  config_.tied_embeddings = true;
  const LoadedModel rounded = load(original(), {.scheme = QuantScheme::kW8A8});
  const ModelSource folder = find_model(quantize(QuantScheme::kW8A8).string());
  EXPECT_FALSE(folder.config.tied_embeddings);
  const LoadedModel stored = load(folder, {});
  const int64_t bytes = packed_bytes(kernels::choose_table(), stored.model.weights.lm_head_VD);
  EXPECT_EQ(std::memcmp(rounded.model.weights.lm_head_VD.data, stored.model.weights.lm_head_VD.data,
                        static_cast<size_t>(bytes)),
            0);
}

TEST_F(Quantize, WritesShardsAndTheOtherFiles) {
  const fs::path out = quantize(QuantScheme::kW8A8);
  EXPECT_TRUE(fs::exists(out / "model.safetensors.index.json"));
  EXPECT_TRUE(fs::exists(out / "chat_template.jinja"));
  EXPECT_TRUE(fs::exists(out / "modeling_pangu_moe.py"));
  EXPECT_FALSE(fs::exists(base_ / "w8a8.partial"));
  EXPECT_NE(message_of([&] { quantize(QuantScheme::kW8A8); }).find("is not empty"),
            std::string::npos);
  const std::string again = message_of([&] {
    quantize_model(threads_, find_model(out.string()), base_ / "twice",
                   {.scheme = QuantScheme::kW4A8}, [](int64_t) { return true; });
  });
  EXPECT_NE(again.find("is stored as w8a8 already"), std::string::npos) << again;
}

TEST_F(Quantize, StoppingLeavesNothing) {
  const std::string error = message_of([&] {
    quantize_model(threads_, original(), base_ / "stopped", {.scheme = QuantScheme::kW8A8},
                   [](int64_t done) { return done < 100'000; });
  });
  EXPECT_NE(error.find("stopped after"), std::string::npos) << error;
  EXPECT_FALSE(fs::exists(base_ / "stopped"));
  EXPECT_FALSE(fs::exists(base_ / "stopped.partial"));
}

TEST_F(Quantize, FoldersThatAreNotWholeAreRefusedByName) {
  const auto without = [](const char* name) {
    return [name](std::vector<TensorToWrite>& list) {
      std::erase_if(list, [&](const TensorToWrite& t) { return t.name == name; });
    };
  };
  const auto reshaped = [](const char* name, std::vector<int64_t> shape, DType dtype) {
    return [=](std::vector<TensorToWrite>& list) {
      for (TensorToWrite& t : list)
        if (t.name == name) {
          t.shape = shape, t.dtype = dtype;
          const int64_t bytes = shape[0] * (shape.size() > 1 ? shape[1] : 1) * size_of(dtype);
          t.write = [bytes](FileWriter& out) {
            out.write(std::string(static_cast<size_t>(bytes), '\0'));
          };
        }
    };
  };
  const auto expect = [](const std::string& error, const char* part) {
    EXPECT_NE(error.find(part), std::string::npos) << error;
  };
  const fs::path w8 = quantize(QuantScheme::kW8A8), w4 = quantize(QuantScheme::kW4A8);
  EXPECT_EQ(error_after(w8, [](auto&) {}), "");
  expect(error_after(w8, without("lm_head.weight_scale")), "'lm_head.weight_scale' is missing");
  expect(error_after(w4, without("lm_head.weight_packed")), "'lm_head.weight_packed' is missing");
  expect(error_after(w4, without("lm_head.weight_shape")), "'lm_head.weight_shape' is missing");
  expect(error_after(w8, reshaped("lm_head.weight_scale", {72, 2}, DType::kF32)),
         "'lm_head.weight_scale' is float32 [72, 2], config.json wants [72, 1]");
  expect(error_after(w8, reshaped("lm_head.weight", {72, 192}, DType::kI32)),
         "is int32, want int8 for w8a8");
  expect(error_after(w4, reshaped("lm_head.weight_packed", {72, 23}, DType::kI32)),
         "config.json wants [72, 24]");
  expect(error_after(w4, reshaped("lm_head.weight_scale", {72, 12}, DType::kF32)),
         "which is no group_size");
  expect(error_after(w4, reshaped("lm_head.weight_shape", {2}, DType::kI64)),
         "says [0, 0], config.json wants [72, 192]");
  expect(
      error_after(w8, reshaped("model.layers.0.self_attn.k_proj.weight", {64, 192}, DType::kF32)),
      "weight_scale' (float32 [64, 1]) is not used");
  expect(error_after(
             w8,
             [&](auto& list) {
               without("model.layers.0.self_attn.k_proj.weight_scale")(list);
               reshaped("model.layers.0.self_attn.k_proj.weight", {64, 192}, DType::kF32)(list);
             }),
         "others that are multiplied with it are not");
  expect(message_of([&] { load(find_model(w8.string()), {.scheme = QuantScheme::kW4A8}); }),
         "is stored as w8a8, which cannot become w4a8");
}

TEST_F(Quantize, AScaleThatIsNoNumberIsRefused) {
  const fs::path w8 = quantize(QuantScheme::kW8A8);
  const std::string error = error_after(w8, [](std::vector<TensorToWrite>& list) {
    for (TensorToWrite& t : list)
      if (t.name == "lm_head.weight_scale")
        t.write = [](FileWriter& out) {
          for (int i = 0; i < 72; ++i) {
            const float scale = i == 3 ? -1.0f : 1.0f;
            out.write(&scale, sizeof(scale));
          }
        };
  });
  EXPECT_NE(error.find("'lm_head.weight_scale' has the scale -1 in row 3"), std::string::npos)
      << error;
}

TEST_F(Quantize, WeightsThatAreNotFiniteAreRefused) {
  original();
  auto list = tensors_of(base_ / "fp32");
  for (TensorToWrite& t : list)
    if (t.name == "lm_head.weight")
      t.write = [](FileWriter& out) {
        const std::vector<float> values(72 * 192, INFINITY);
        out.write(values.data(), values.size() * sizeof(float));
      };
  fs::create_directories(base_ / "bad");
  fs::copy_file(base_ / "fp32" / "config.json", base_ / "bad" / "config.json");
  write_checkpoint(base_ / "bad", list);
  const ModelSource bad = find_model((base_ / "bad").string());
  const std::string error = message_of([&] {
    quantize_model(threads_, bad, base_ / "out", {.scheme = QuantScheme::kW8A8},
                   [](int64_t) { return true; });
  });
  EXPECT_NE(error.find("'lm_head.weight' holds a value that is not finite"), std::string::npos)
      << error;
}

TEST_F(Quantize, LargePresetsAreMadeInTheFormatItself) {
  ModelConfig large = preset_config("olmoe-1b-7b");
  const auto list = list_params(large);
  const auto weights = random_weights(large, 3);
  const auto* down = &list.front();
  for (const ParamTensor& t : list)
    if (t.in_layer == &LayerParams::w_down_EDF) down = &t;
  const CheckpointPart& part = down->parts.front();
  ASSERT_TRUE(weights->gives(part, QuantScheme::kW4A8) && weights->gives(part, QuantScheme::kW8A8));
  const int64_t k = part.shape[1];
  std::vector<int8_t> q8(static_cast<size_t>(64 * k));
  std::vector<float> scales(64), floats(q8.size());
  weights->read_w8(part, 0, 64, q8.data(), scales.data());
  weights->read(*down, part, 0, 64 * k, floats.data());
  double mean8 = 0, square8 = 0, square = 0;
  for (size_t i = 0; i < q8.size(); ++i) {
    mean8 += q8[i];
    square8 += q8[i] * q8[i] * scales[0] * scales[0];
    square += floats[i] * floats[i];
  }
  const double count = static_cast<double>(q8.size());
  // Five standard errors of a mean, and of a variance, of 65536 values.
  EXPECT_LE(std::abs(mean8 / count), 5 * 73.5 / 256);
  EXPECT_NEAR(std::sqrt(square8 / count), 0.02, 0.02 * 5 / 256);
  EXPECT_NEAR(std::sqrt(square / count), 0.02, 0.02 * 5 / 256);
  std::vector<float> later(8);
  weights->read(*down, part, 13, 21, later.data());
  EXPECT_TRUE(std::equal(later.begin(), later.end(), floats.begin() + 13));
}

}  // namespace
}  // namespace moge
