// One optimizer step after another: micro-batches, gradients, clipping, AdamW. Everything is
// allocated before the first step.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "moge/config/train_config.h"
#include "moge/model/model.h"
#include "moge/runtime/arena.h"
#include "moge/train/state.h"

namespace moge::train {

/// The samples of one global batch, all rows flat: gbs * seq_length.
struct GlobalBatch {
  std::vector<int32_t> tokens, targets, positions;
  std::vector<float> mask;
  std::vector<int32_t> lengths;       ///< of the attention's sequences, one after another
  std::vector<int64_t> first_length;  ///< index of each sample's first length; one more at the end
};

/// Fills one sample (seq_length rows) of the batch: its number in the run decides which.
/// Sequence lengths are appended; they add up to seq_length.
using SampleSource = std::function<void(
    int64_t sample, std::span<int32_t> tokens_T, std::span<int32_t> targets_T,
    std::span<int32_t> positions_T, std::span<float> mask_T, std::vector<int32_t>& lengths)>;

struct StepResult {
  double lm_loss = 0;               ///< mean over the masked tokens of the global batch
  double aux_loss = 0, z_loss = 0;  ///< mean over MoE layers and micro-batches, without coefficient
  double grad_norm = 0;             ///< before clipping
  bool finite = true;               ///< loss and gradient norm; if not, nothing was updated
};

/// Rows of the experts at a step, by layer: as routed, and as plain top-K over the same softmax
/// would have routed them. All [layers][experts].
struct ExpertCounts {
  std::vector<int64_t> routed, plain_topk;
  void clear(const ModelConfig& config);
};

class Trainer {
 public:
  Trainer(ThreadPool& threads, const kernels::Table& table, const ModelConfig& model,
          const DataConfig& data, const OptimizerConfig& optimizer);

  TrainState& state() { return state_; }
  const Context& context() const { return context_; }
  /// Balancing factor in force: --moe-aux-loss-coeff or the model's own.
  double aux_coeff() const { return aux_coeff_; }

  /// Optimizer step `step` (1, 2, ...) on its samples (batches.h). Counts experts into `counts` if
  /// given.
  StepResult step(int64_t step, const SampleSource& source, ExpertCounts* counts = nullptr);
  /// Mean loss over `samples` samples from `first` on, no gradient.
  double validate(const SampleSource& source, int64_t first, int64_t samples);
  /// The batch of the last step, for the dump of a step that went wrong.
  const GlobalBatch& batch() const { return batch_; }

  /// Memory of activations: what the formula predicts, and what the arena has seen.
  int64_t predicted_activation_bytes() const { return activation_bytes_; }
  int64_t used_activation_bytes() const;

 private:
  void fill(const SampleSource& source, int64_t first, int64_t samples);
  Batch micro_batch(int64_t first_sample, int64_t samples);
  double masked_tokens(int64_t samples) const;

  ModelConfig config_;
  DataConfig data_;
  OptimizerConfig optimizer_;
  double aux_coeff_;
  TrainState state_;
  Model model_;
  int64_t activation_bytes_;  // plan::step_activation_bytes: the arena is made with them
  std::unique_ptr<Arena> activations_, scratch_;
  Context context_;
  std::unique_ptr<StepBuffers> buffers_;
  GlobalBatch batch_;
  std::vector<int32_t> offsets_;
  std::vector<int32_t> order_E_;  // of a token's experts, best first
};

}  // namespace moge::train
