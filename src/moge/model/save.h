// For those that write model folders themselves.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>

#include "moge/config/model_config.h"
#include "moge/tensor/tensor.h"

namespace moge {

/// The config.json of a folder of ours. For families that transformers lacks, writes the modeling
/// files that it names into `folder`.
nlohmann::json config_to_write(const std::filesystem::path& folder, const ModelConfig& config,
                               DType dtype);

}  // namespace moge
