// A model from what the user names: a Hugging Face folder, a run's --save folder or one of its
// iter_ folders, or preset:NAME; and a model out again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "moge/model/model.h"

namespace moge {

/// Where a MODEL argument leads.
struct ModelSource {
  std::filesystem::path folder;  ///< of config.json and *.safetensors; empty for a preset
  std::string preset;            ///< name after "preset:"; empty for a folder
  std::string name;              ///< for people and for the API: the folder's or the preset's name
  ModelConfig config;
  QuantizationConfig quantization;  ///< how the folder's matrices are stored
  bool random_weights = false;      ///< seeded random weights even where there are files
  DType stored = DType::kF32;       ///< of the checkpoint, as config.json says; presets: fp32
};

/// Takes the newest checkpoint of a --save folder; reads config.json.
ModelSource find_model(const std::string& text);

struct LoadOptions {
  DType dtype = DType::kBF16;         ///< of activations and of matrices in floats: kF32 or kBF16
  std::optional<QuantScheme> scheme;  ///< of the matrices; absent: as the folder stores them
  bool keep_head = false;             ///< a head that is stored as floats stays so
  uint64_t seed = 0;                  ///< preset: of the random weights
  int64_t positions = 0;              ///< bound of the RoPE table; 0 = config.max_position
};

/// Weights packed for this machine's kernels, with the memory they lie in.
struct LoadedModel {
  ModelSource source;
  Model model;
  Buffer storage;
  int64_t weight_bytes() const { return static_cast<int64_t>(storage.size()); }
};
LoadedModel load_model(const Context& context, const ModelSource& source,
                       const LoadOptions& options);

/// Fills fp32 parameters from the checkpoint, or with the preset's seeded weights.
void load_params(ThreadPool& threads, const ModelSource& source, uint64_t seed,
                 const Params& params);

/// Writes config.json, model.safetensors (in shards above 5 GB) and, for families that
/// transformers lacks, our modeling files. Other files of the folder are left alone.
void save_model(const std::filesystem::path& folder, const ModelConfig& config,
                const Params& params, DType dtype);

}  // namespace moge
