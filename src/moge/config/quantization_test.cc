#include "moge/config/quantization.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "moge/core/error.h"
#include "moge/core/test_errors.h"

namespace moge {
namespace {
using nlohmann::json;

QuantizationConfig w4a8() {
  return {.scheme = QuantScheme::kW4A8,
          .groups = {{{"re:.*_proj$"}, 128}, {{"lm_head"}, 64}},
          .ignore = {"re:.*mlp.gate$"}};
}

std::string error_of(const json& value) {
  return message_of([&] { parse_quantization(value, "config.json"); });
}

TEST(Quantization, WritesWhatItReads) {
  const json written = to_json(w4a8());
  const QuantizationConfig read = parse_quantization(written, "config.json");
  EXPECT_EQ(read.scheme, QuantScheme::kW4A8);
  ASSERT_EQ(read.groups.size(), 2u);
  EXPECT_EQ(read.groups[1].group_size, 64);
  EXPECT_EQ(read.ignore, w4a8().ignore);
  EXPECT_EQ(to_json(read), written);
  EXPECT_EQ(parse_quantization(nullptr, "").scheme, QuantScheme::kNone);
  EXPECT_TRUE(to_json(QuantizationConfig{}).is_null());
}

TEST(Quantization, ReadsWhatLlmCompressorWrites) {
  const json config = json::parse(R"({
    "config_groups": {"group_0": {"format": "int-quantized", "input_activations": {
        "actorder": null, "block_structure": null, "dynamic": true, "group_size": null,
        "num_bits": 8, "observer": null, "observer_kwargs": {}, "strategy": "token",
        "symmetric": true, "type": "int"}, "output_activations": null, "targets": ["Linear"],
      "weights": {"actorder": null, "block_structure": null, "dynamic": false,
        "group_size": null, "num_bits": 8, "observer": "minmax", "observer_kwargs": {},
        "strategy": "channel", "symmetric": true, "type": "int"}}},
    "format": "int-quantized", "global_compression_ratio": null, "ignore": ["lm_head"],
    "kv_cache_scheme": null, "quant_method": "compressed-tensors",
    "quantization_status": "compressed", "sparsity_config": {}, "transform_config": {},
    "version": "0.12.2"})");
  EXPECT_EQ(parse_quantization(config, "").scheme, QuantScheme::kW8A8);
}

TEST(Quantization, RefusesWhatIsNotImplementedByName) {
  const auto refused = [](const char* pointer, const json& value, const char* part) {
    json config = to_json(w4a8());
    config[json::json_pointer(pointer)] = value;
    EXPECT_NE(error_of(config).find(part), std::string::npos) << error_of(config);
  };
  const std::string weights = "/config_groups/group_0/weights";
  refused("/quant_method", "gptq", "'gptq'");
  refused("/format", "float-quantized", "'float-quantized'");
  refused("/kv_cache_scheme", {{"num_bits", 8}}, "kv_cache_scheme");
  refused("/config_groups", json::object(), "0 config_groups");
  refused("/config_groups/group_0/targets", json::array(), "has no targets");
  refused("/config_groups/group_0/input_activations", nullptr, "activations that stay floats");
  refused("/config_groups/group_0/input_activations/dynamic", false, "static");
  refused((weights + "/num_bits").c_str(), 3, "3 bits by group");
  refused((weights + "/type").c_str(), "float", "'float'");
  refused((weights + "/symmetric").c_str(), false, "zero points");
  refused((weights + "/actorder").c_str(), "group", "actorder 'group'");
  refused((weights + "/group_size").c_str(), 0, "group_size is 0");
  refused("/config_groups/group_1/weights",
          {{"num_bits", 8}, {"strategy", "channel"}, {"group_size", nullptr}}, "'pack-quantized'");
  EXPECT_NE(error_of({{"bits", 4}}).find("quant_method ''"), std::string::npos);
  EXPECT_NE(error_of("awq").find("must be an object"), std::string::npos);
}

}  // namespace
}  // namespace moge
