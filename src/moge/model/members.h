// Which member of the block's weights holds which storage tensor.
#pragma once

#include "moge/model/params.h"
#include "moge/model/weights.h"

namespace moge {

struct MatrixMember {
  Tensor LayerParams::*params;
  Weight LayerWeights::*weights;
};
inline constexpr MatrixMember kLayerMatrices[] = {
    {&LayerParams::w_qkv_PD, &LayerWeights::w_qkv_PD},
    {&LayerParams::w_o_DA, &LayerWeights::w_o_DA},
    {&LayerParams::w_router_ED, &LayerWeights::w_router_ED},
    {&LayerParams::w_gate_up_E2FD, &LayerWeights::w_gate_up_E2FD},
    {&LayerParams::w_down_EDF, &LayerWeights::w_down_EDF},
    {&LayerParams::w_shared_gate_up_2SD, &LayerWeights::w_shared_gate_up_2SD},
    {&LayerParams::w_shared_down_DS, &LayerWeights::w_shared_down_DS},
    {&LayerParams::w_shared_gate_1D, &LayerWeights::w_shared_gate_1D},
};

struct VectorMember {
  Tensor LayerParams::*params;
  Tensor LayerWeights::*weights;
};
inline constexpr VectorMember kLayerVectors[] = {
    {&LayerParams::attn_norm_D, &LayerWeights::attn_norm_D},
    {&LayerParams::b_qkv_P, &LayerWeights::b_qkv_P},
    {&LayerParams::q_norm, &LayerWeights::q_norm},
    {&LayerParams::k_norm, &LayerWeights::k_norm},
    {&LayerParams::b_o_D, &LayerWeights::b_o_D},
    {&LayerParams::ffn_norm_D, &LayerWeights::ffn_norm_D},
    {&LayerParams::router_scale_E, &LayerWeights::router_scale_E},
};

/// The member of `weights` for a matrix or a vector of the list; the embedding is neither.
Weight& matrix_member(ModelWeights& weights, const ParamTensor& tensor);
Tensor& vector_member(ModelWeights& weights, const ParamTensor& tensor);

}  // namespace moge
