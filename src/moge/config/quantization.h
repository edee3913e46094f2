// config.json's quantization_config: how a checkpoint stores its matrices, in the words of
// compressed-tensors, which vLLM reads.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace moge {

/// Of the stored matrices. Activations are rounded to 8 bits per token when they are multiplied.
enum class QuantScheme : uint8_t {
  kNone,
  kW8A8,  ///< s8 per output channel: int8 `weight`, `weight_scale` [N, 1]
  kW4A8,  ///< s4 in groups along K: int32 `weight_packed`, `weight_scale` [N, groups]
};
const char* name_of(QuantScheme scheme);  ///< "none", "w8a8", "w4a8"

/// Matrices that share one description.
struct QuantGroup {
  std::vector<std::string> targets;  ///< "Linear", module names, or "re:" and an expression
  int64_t group_size = 0;            ///< W4A8: values of K that share a scale
};

struct QuantizationConfig {
  QuantScheme scheme = QuantScheme::kNone;
  std::vector<QuantGroup> groups;
  std::vector<std::string> ignore;  ///< modules kept as floats
};

/// Reads the value of quantization_config (null: none). Refuses by name a method, a format or
/// numbers that are not implemented. Which matrices are quantized is not told from `targets` and
/// `ignore` but from the tensors that are there.
QuantizationConfig parse_quantization(const nlohmann::json& value, const std::string& where);

/// The value to write.
nlohmann::json to_json(const QuantizationConfig& config);

}  // namespace moge
