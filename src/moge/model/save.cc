// A model out: config.json, safetensors, and for families that transformers lacks our own modeling
// files, so that it loads there with trust_remote_code=True.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "moge/core/embedded.h"
#include "moge/core/files.h"
#include "moge/model/load.h"
#include "moge/model/safetensors.h"
#include "moge/model/save.h"

namespace moge {

// Generated from hf/*.py by moge_embed (cmake/embed.cmake).
extern const EmbeddedFiles kModelingFiles;

namespace {
void write_tensor(FileWriter& out, const Tensor& tensor, DType dtype) {
  const float* values = tensor.as<float>();
  const int64_t n = tensor.numel();
  if (dtype == DType::kF32) return out.write(values, static_cast<size_t>(n) * sizeof(float));
  constexpr int64_t kBlock = 4096;
  BFloat16 rounded[kBlock];
  for (int64_t i = 0; i < n; i += kBlock) {
    const int64_t count = std::min(kBlock, n - i);
    for (int64_t j = 0; j < count; ++j) rounded[j] = BFloat16(values[i + j]);
    out.write(rounded, static_cast<size_t>(count) * sizeof(BFloat16));
  }
}
}  // namespace

nlohmann::json config_to_write(const std::filesystem::path& folder, const ModelConfig& config,
                               DType dtype) {
  nlohmann::json json = to_json(config);
  json["torch_dtype"] = name_of(dtype);
  if (config.model_type != "PanguProMoE") return json;
  json["auto_map"] = {{"AutoConfig", "configuration_pangu_moe.PanguProMoEConfig"},
                      {"AutoModelForCausalLM", "modeling_pangu_moe.PanguProMoEForCausalLM"}};
  for (const EmbeddedFile& file : kModelingFiles)
    write_file(folder / std::string(file.name), file.content);
  return json;
}

void save_model(const std::filesystem::path& folder, const ModelConfig& config,
                const Params& params, DType dtype) {
  std::filesystem::create_directories(folder);
  std::vector<TensorToWrite> tensors;
  for_each_checkpoint_tensor(
      config, params, [&](const std::string& name, const Tensor& tensor, TensorKind) {
        const std::vector<int64_t> shape(tensor.shape.begin(), tensor.shape.begin() + tensor.rank);
        tensors.push_back({name, dtype, shape,
                           [tensor, dtype](FileWriter& out) { write_tensor(out, tensor, dtype); }});
      });
  write_checkpoint(folder, tensors);
  write_file(folder / "config.json", config_to_write(folder, config, dtype).dump(2) + "\n");
}

}  // namespace moge
