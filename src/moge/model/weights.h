// What the block consumes: matrices as {format, view}, vectors as fp32 tensors. Made from Params
// for training, packed from a checkpoint (or from seeded random numbers) for inference.
#pragma once

#include <cstdint>
#include <vector>

#include "moge/model/params.h"
#include "moge/ops/linear.h"

namespace moge {

/// Names as in LayerParams.
struct LayerWeights {
  Tensor attn_norm_D;
  Weight w_qkv_PD;
  Tensor b_qkv_P, q_norm, k_norm;
  Weight w_o_DA;
  Tensor b_o_D;
  Tensor ffn_norm_D;
  Weight w_router_ED;
  Tensor router_scale_E;
  Weight w_gate_up_E2FD, w_down_EDF;
  Weight w_shared_gate_up_2SD, w_shared_down_DS, w_shared_gate_1D;
};

struct ModelWeights {
  Tensor embed_VD;  ///< row-major, fp32 or bf16
  Tensor final_norm_D;
  Weight lm_head_VD;
  std::vector<LayerWeights> layers;
};

/// {format, view} of a row-major matrix or stack of matrices; absent stays absent.
Weight weight_of(const Tensor& row_major);

/// Views for training. fp32: of `params` themselves. bf16: matrices are views of `bf16_flat`, which
/// has the layout of params.flat and is kept up to date by the optimizer; vectors stay fp32.
ModelWeights training_weights(const ModelConfig& config, const Params& params,
                              const Tensor& bf16_flat = {});

/// Rounds every matrix of `params` into `bf16_flat` (flat_size bf16 elements).
void round_to_bf16(const Context& context, const ModelConfig& config, const Params& params,
                   const Tensor& bf16_flat);

}  // namespace moge
