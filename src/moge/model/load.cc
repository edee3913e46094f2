#include "moge/model/load.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "moge/core/error.h"
#include "moge/core/files.h"
#include "moge/model/iterations.h"
#include "moge/model/packer.h"
#include "moge/model/source.h"
#include "moge/runtime/topology.h"

namespace moge {

namespace {
constexpr std::string_view kPresetPrefix = "preset:";
constexpr int64_t kBlock = 1 << 16;  // elements per task

/// What config.json says of the weights' type; published checkpoints without a word are bf16.
DType stored_dtype(const std::filesystem::path& folder) {
  const auto config = nlohmann::json::parse(read_file(folder / "config.json"));
  for (const char* key : {"dtype", "torch_dtype"})
    if (config.contains(key) && config[key] == "float32") return DType::kF32;
  return DType::kBF16;
}

/// The last component, also of "dir/" and ".".
std::string name_of_folder(const std::filesystem::path& folder) {
  const auto whole = std::filesystem::weakly_canonical(folder);
  return whole.filename().empty() ? whole.parent_path().filename().string()
                                  : whole.filename().string();
}
}  // namespace

ModelSource find_model(const std::string& text) {
  ModelSource source;
  if (text.starts_with(kPresetPrefix)) {
    source.preset = source.name = text.substr(kPresetPrefix.size());
    source.config = preset_config(source.preset);
    return source;
  }
  const std::filesystem::path path(text);
  check(std::filesystem::is_directory(path),
        "{}: no such folder; a model is a folder with config.json and *.safetensors, a training "
        "run's folder, or preset:NAME",
        text);
  source.name = name_of_folder(path);
  source.folder = model_folder(path);
  source.config = load_model_config(source.folder);
  source.quantization = load_quantization(source.folder);
  source.stored = stored_dtype(source.folder);
  return source;
}

void load_params(ThreadPool& threads, const ModelSource& source, uint64_t seed,
                 const Params& params) {
  const auto list = list_params(source.config);
  const auto weights = open_weights(source, list, seed);
  for (const ParamTensor& tensor : list)
    for (const CheckpointPart& part : tensor.parts) {
      float* out = part_of(params, tensor, part).as<float>();
      threads.parallel_for((part.numel + kBlock - 1) / kBlock, [&](int64_t block, int) {
        const int64_t begin = block * kBlock, end = std::min(part.numel, begin + kBlock);
        weights->read(tensor, part, begin, end, out + begin);
      });
    }
}

LoadedModel load_model(const Context& context, const ModelSource& source,
                       const LoadOptions& options) {
  Packer packer(context, source, options);
  const auto weights = open_weights(source, packer.list(), options.seed);
  LoadedModel loaded;
  loaded.source = source;
  const int64_t bytes = packer.bytes(*weights);
  check(bytes <= memory_available(),
        "{}: its weights take {} bytes, but only {} bytes of memory are available", source.name,
        bytes, memory_available());
  loaded.storage = Buffer(static_cast<size_t>(bytes));
  loaded.model = Model::make(source.config, packer.pack(*weights, loaded.storage), options.dtype,
                             options.positions);
  return loaded;
}

}  // namespace moge
