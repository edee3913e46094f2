// One decoder layer: pre-norm attention, then a pre-norm mixture of grouped experts (or one dense
// MLP). The same code trains and serves; its backward is two functions, so that a schedule can
// place input gradients and weight gradients apart.
// T tokens, D model dim, P = (H+2N)C, Q = (H+N)C, A = HC, E experts, K chosen, R = TK routed rows,
// F expert width, S shared width.
#pragma once

#include <cstdint>
#include <span>

#include "moge/config/model_config.h"
#include "moge/model/activations.h"
#include "moge/model/seams.h"
#include "moge/model/weights.h"
#include "moge/ops/attention_paged.h"
#include "moge/ops/elementwise.h"

namespace moge {

/// The tokens of one step, all sequences flat.
struct Batch {
  Tensor ids_T, positions_T;         ///< i32
  std::span<const int32_t> offsets;  ///< training: sequence s is rows [offsets[s], offsets[s+1])
  std::span<const SequenceSlice> slices;  ///< inference: the rows of each sequence ...
  std::span<const PagedKv> caches;        ///< ... and the KV cache of each layer

  int64_t num_tokens() const { return ids_T.dim(0); }
  bool paged() const { return !caches.empty(); }
};

/// One layer of a model, and the seams through which other ranks may take part.
struct Layer {
  const ModelConfig& config;
  int64_t index;
  const LayerWeights& weights;
  const RopeTable& rope;
  ExpertDispatch& dispatch;
  PartialSum& sum;

  const LayerConfig& layer_config() const { return config.layers[index]; }
  bool moe() const { return layer_config().moe; }
};

/// Whether the layer's experts are packed for inference in one op (ops/expert_mlp.h); then
/// block_forward does without the rows of experts (Keep::kFusedInference).
bool fuses_experts(const Layer& layer);

/// out_TD = the block of acts.x_TD (fp32 both; not the same memory).
void block_forward(const Context& context, const Layer& layer, const Batch& batch,
                   const BlockActivations& acts, const Tensor& out_TD);

/// Brings back what `recompute` did not keep, with the same bits as the first time; out_TD is
/// overwritten where that takes the whole forward pass.
void block_recompute(const Context& context, const Layer& layer, const Batch& batch,
                     Recompute recompute, const BlockActivations& acts, const Tensor& out_TD);

/// How the router's losses enter the gradient of one layer.
struct RouterLossScale {
  bool balance = false;  ///< acts.dprobs_E holds the balancing loss's gradient
  float z_scale = 0.0f;  ///< router z-loss: coefficient / T; needs acts.router_lse_T
};

/// dx_TD (fp32): gradient of the block's output in, gradient of its input out. Leaves in `grads`
/// what block_backward_weight needs.
void block_backward_input(const Context& context, const Layer& layer, const Batch& batch,
                          const BlockActivations& acts, const BlockGradients& grads,
                          RouterLossScale router, const Tensor& dx_TD);

/// Adds the gradients of the layer's parameters to `params`.
void block_backward_weight(const Context& context, const Layer& layer, const BlockActivations& acts,
                           const BlockGradients& grads, const LayerParams& params);

}  // namespace moge
