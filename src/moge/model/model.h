// A whole model: embedding, blocks, final norm, head; loss and its gradients.
// T tokens of a step, D model dim, V vocabulary, S rows whose logits are wanted.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "moge/model/block.h"

namespace moge {

/// Weights with all that the blocks need beside them. Does not own the weights' memory.
struct Model {
  ModelConfig config;
  ModelWeights weights;
  DType dtype = DType::kF32;  ///< of activations and matrices
  RopeTable rope;
  Buffer rope_storage;
  std::unique_ptr<ExpertDispatch> dispatch;  ///< local unless replaced
  std::unique_ptr<PartialSum> sum;

  /// `positions` bounds the sequences that the RoPE table serves (0: config.max_position).
  static Model make(const ModelConfig& config, ModelWeights weights, DType dtype,
                    int64_t positions = 0);
  Layer layer(int64_t index) const {
    return {config, index, weights.layers[index], rope, *dispatch, *sum};
  }
};

/// Called after each layer's forward with what it left behind (balance at log steps, expert maps).
using LayerObserver = FunctionRef<void(int64_t layer, const BlockActivations& acts)>;

// ---- inference

/// Bytes that model_forward and logits_for_rows take from their arena, and ops from
/// context.scratch.
int64_t forward_bytes(const Model& model, int64_t num_tokens);
int64_t logits_bytes(const ModelConfig& config, int64_t num_rows, DType dtype);
size_t scratch_bytes(const Context& context, const ModelConfig& config, int64_t num_tokens);

/// x_TD (fp32, in `arena`) = residual stream after the last layer.
Tensor model_forward(const Context& context, const Model& model, const Batch& batch, Arena& arena,
                     const LayerObserver* observe = nullptr);

/// logits_SV (fp32) = head of rows_S (i32, absent: all) of x_TD.
void logits_for_rows(const Context& context, const Model& model, const Tensor& x_TD,
                     const Tensor& rows_S, Arena& arena, const Tensor& logits_SV);

// ---- training

struct LossOptions {
  float scale = 1.0f;           ///< gradient of each token's loss (1 / tokens of the global batch)
  float z_coeff = 0.0f;         ///< z-loss on the logits
  double aux_coeff = 0.0;       ///< balancing loss of each MoE layer
  double router_z_coeff = 0.0;  ///< router z-loss of each MoE layer
  double router_scale = 1.0;    ///< gradient scale of both (1 / micro-batches of a step)
};

struct LossResult {
  double loss_sum = 0.0;  ///< cross-entropy of the tokens, each times its mask
  double mask_sum = 0.0;
  double z_sum = 0.0;                  ///< z_coeff * lse^2 of the tokens, each times its mask
  std::span<const double> aux_L;       ///< balancing loss by layer, 0 in dense layers
  std::span<const double> router_z_L;  ///< router_z_coeff * mean lse^2 by layer
};

/// The memory of one training step, allocated once.
class StepBuffers {
 public:
  StepBuffers(Arena& arena, const ModelConfig& config, int64_t num_tokens, DType dtype,
              Recompute recompute);
  /// What the constructor takes from its arena: plan::step_activation_bytes.
  static int64_t bytes(const ModelConfig& config, int64_t num_tokens, DType dtype,
                       Recompute recompute);

  int64_t num_tokens;
  Recompute recompute;
  std::vector<BlockActivations> layers;   ///< what is not kept lies in one shared workspace
  std::vector<BlockGradients> gradients;  ///< by layer; all layers share the memory
  Tensor x_TD, dx_TD;                     ///< last layer's output; gradient of the residual stream
  Tensor final_TD, final_rstd_T;          ///< the head's input
  Tensor dfinal_TD, logits_CV, dlogits_CV;  ///< of the head, a chunk of rows at a time; they share
                                            ///< the memory of workspace and gradients
  Tensor loss_T, lse_T;
  std::vector<double> aux_L, router_z_L;

  const Tensor& output_of(int64_t layer) const {
    return layer + 1 < static_cast<int64_t>(layers.size()) ? layers[layer + 1].x_TD : x_TD;
  }
};

/// targets_T (i32; < 0: none) and mask_T (fp32). Gradients are added to `grads`.
LossResult loss_forward_backward(const Context& context, const Model& model, const Batch& batch,
                                 const Tensor& targets_T, const Tensor& mask_T,
                                 const LossOptions& options, StepBuffers& buffers,
                                 const Params& grads, const LayerObserver* observe = nullptr);

/// The losses alone (validation); options.scale does not matter.
LossResult loss_forward(const Context& context, const Model& model, const Batch& batch,
                        const Tensor& targets_T, const Tensor& mask_T, const LossOptions& options,
                        StepBuffers& buffers, const LayerObserver* observe = nullptr);

}  // namespace moge
