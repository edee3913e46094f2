// What stands beside the tensors of a quantized folder.
#pragma once

#include <filesystem>

#include "moge/model/quantize.h"

namespace moge {

/// Columns that share a scale on disk: 128, or what divides 128 and a width that 128 does not
/// divide; compressed-tensors knows no short last group.
int64_t disk_group_size(int64_t k);

/// The head needs a tensor of its own, because the embedding it was tied to is not rounded.
bool unties(const ModelConfig& config, const QuantizeOptions& options);

/// The source's config.json (a preset's: as moge init writes it) with quantization_config.
void write_quantized_config(const ModelSource& source, const std::vector<ParamTensor>& list,
                            const QuantizeOptions& options, const std::filesystem::path& folder);

/// Tokenizer, chat template, generation_config.json, modeling files: all but weights.
void copy_other_files(const ModelSource& source, const std::filesystem::path& folder);

}  // namespace moge
