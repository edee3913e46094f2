#include "moge/model/quantized_config.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "moge/core/files.h"
#include "moge/model/save.h"
#include "moge/quant/round.h"

namespace moge {

namespace fs = std::filesystem;

namespace {
/// An expression for the modules of all layers and experts that differ in numbers only.
std::string pattern_of(const std::string& weight) {
  std::string pattern = "re:";
  const std::string module = weight.substr(0, weight.size() - std::string_view(".weight").size());
  for (size_t i = 0; i < module.size(); ++i) {
    const bool digit = '0' <= module[i] && module[i] <= '9';
    if (digit && (i == 0 || module[i - 1] == '.')) {
      pattern += "\\d+";
      while (i + 1 < module.size() && '0' <= module[i + 1] && module[i + 1] <= '9') ++i;
    } else {
      pattern += module[i] == '.' ? std::string("\\.") : std::string(1, module[i]);
    }
  }
  return pattern + "$";
}

QuantizationConfig describe(const ModelConfig& config, const std::vector<ParamTensor>& list,
                            const QuantizeOptions& options) {
  QuantizationConfig out{.scheme = options.scheme};
  std::map<int64_t, std::set<std::string>> by_group;
  std::set<std::string> ignore;
  const auto target = [&](int64_t k, const std::string& name) {
    by_group[options.scheme == QuantScheme::kW4A8 ? disk_group_size(k) : 0].insert(
        pattern_of(name));
  };
  for (const ParamTensor& tensor : list) {
    if (tensor.kind != TensorKind::kMatrix || tensor.global == &Params::embed_VD) continue;
    const bool kept = !is_quantizable(tensor) || (options.keep_head && is_head(tensor));
    for (const CheckpointPart& part : tensor.parts)
      if (kept)
        ignore.insert(pattern_of(part.name));
      else
        target(part.shape[1], part.name);
  }
  if (unties(config, options)) target(config.hidden_size, "lm_head.weight");
  if (config.tied_embeddings && options.keep_head) ignore.insert(pattern_of("lm_head.weight"));
  for (const auto& [size, targets] : by_group) out.groups.push_back({{}, size});
  size_t g = 0;
  for (const auto& [size, targets] : by_group) {
    auto& group = out.groups[g++];
    if (by_group.size() == 1)
      group.targets = {"Linear"};
    else
      group.targets.assign(targets.begin(), targets.end());
  }
  out.ignore.assign(ignore.begin(), ignore.end());
  return out;
}

bool holds_weights(const fs::path& file) {
  const std::string name = file.filename().string();
  for (const char* end : {".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json",
                          ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".onnx"})
    if (name.ends_with(end)) return true;
  return false;
}
}  // namespace

int64_t disk_group_size(int64_t k) {
  return k <= quant::kGroupSize ? k : std::gcd(k, quant::kGroupSize);
}

bool unties(const ModelConfig& config, const QuantizeOptions& options) {
  return config.tied_embeddings && options.scheme != QuantScheme::kNone && !options.keep_head;
}

void write_quantized_config(const ModelSource& source, const std::vector<ParamTensor>& list,
                            const QuantizeOptions& options, const fs::path& folder) {
  nlohmann::json json;
  if (source.folder.empty()) {
    json = config_to_write(folder, source.config, DType::kBF16);
  } else {
    json = nlohmann::json::parse(read_file(source.folder / "config.json"));
    json.erase("quantization_config");
    if (options.scheme == QuantScheme::kNone) {
      json.erase("dtype");
      json["torch_dtype"] = name_of(DType::kBF16);
    }
  }
  if (unties(source.config, options)) json["tie_word_embeddings"] = false;
  if (options.scheme != QuantScheme::kNone)
    json["quantization_config"] = to_json(describe(source.config, list, options));
  write_file(folder / "config.json", json.dump(2) + "\n");
}

void copy_other_files(const ModelSource& source, const fs::path& folder) {
  if (source.folder.empty()) return;
  for (const auto& entry : fs::directory_iterator(source.folder)) {
    if (!entry.is_regular_file() || entry.path().filename() == "config.json") continue;
    if (!holds_weights(entry.path()))
      write_file(folder / entry.path().filename(), read_file(entry.path()));
  }
}

}  // namespace moge
