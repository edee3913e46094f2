// Everything a model computes on given sequences, under the names that reference goldens use: how
// anybody compares moge with another program. fp32, one sequence at a time from position 0.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "moge/model/model.h"

namespace moge {

struct NamedArray {
  std::string name;
  DType dtype = DType::kF32;  ///< kF32 or kI32
  std::vector<int64_t> shape;
  std::vector<float> floats;
  std::vector<int32_t> ints;
};

struct RecordOptions {
  bool gradients = false;  ///< grad.{checkpoint name} of the last sequence's loss
  /// Adds each MoE layer's balancing loss, times this, to that loss; also records `aux_loss`.
  std::optional<double> aux_loss_coeff;
  Recompute recompute = Recompute::kOff;
};

/// For sequence i of T tokens and layer l: seq{i}.logits, .hidden.{l}, .attn.{l}, .mlp.{l},
/// .final_norm, .router_logits.{l}, .router_probs.{l}, .router_ids.{l}, .router_weights.{l}, and
/// for T > 1 .loss.
std::vector<NamedArray> record_sequences(ThreadPool& threads, const kernels::Table& table,
                                         const ModelConfig& config, const Params& params,
                                         std::span<const std::vector<int32_t>> sequences,
                                         const RecordOptions& options);

}  // namespace moge
