// A model written again with its matrices rounded to nearest, tensor by tensor.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "moge/model/load.h"

namespace moge {

struct QuantizeOptions {
  QuantScheme scheme = QuantScheme::kNone;  ///< kNone: every tensor becomes bf16
  bool keep_head = false;                   ///< the output head stays as floats
  uint64_t seed = 0;                        ///< of a preset's random weights
  int64_t max_shard_bytes = 5'000'000'000;
};

/// Called with the number of parameters written; false ends the work with an Error.
using QuantizeProgress = std::function<bool(int64_t done)>;

/// Whether a matrix takes part: all but embedding, router and gates, and the head on request.
bool is_quantizable(const ParamTensor& tensor);
bool is_head(const ParamTensor& tensor);

/// Writes `out`, which must not exist or be empty: tensors as compressed-tensors stores them,
/// config.json with quantization_config, and the other files of the source's folder. It appears
/// under its name only when complete. Memory: a few rows per thread and a matrix's scales.
void quantize_model(ThreadPool& threads, const ModelSource& source,
                    const std::filesystem::path& out, const QuantizeOptions& options,
                    const QuantizeProgress& progress);

}  // namespace moge
