// The parameters of a model as views of one flat fp32 buffer, listed once. The same struct serves
// weights, gradients and both Adam moments; the list yields init, load, save, shard and optimize.
// V vocabulary, D model dim, P = (H+2N)C fused q/k/v rows, A = HC, E experts, F expert width,
// S shared width. A dense layer's MLP is a group of one expert.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "moge/config/model_config.h"
#include "moge/runtime/thread_pool.h"
#include "moge/tensor/tensor.h"

namespace moge {

/// Matrices are decayed by the optimizer and rounded to bf16 copies; vectors (norms, biases,
/// router_scale) are not.
enum class TensorKind : uint8_t { kMatrix, kVector };

/// One layer. What a family does not have is absent (false).
struct LayerParams {
  Tensor attn_norm_D;
  Tensor w_qkv_PD, b_qkv_P;  ///< rows of q, then k, then v
  Tensor q_norm, k_norm;     ///< [C] per head, or [A] and [NC] over the full width
  Tensor w_o_DA, b_o_D;
  Tensor ffn_norm_D;
  Tensor w_router_ED, router_scale_E;
  Tensor w_gate_up_E2FD, w_down_EDF;  ///< per expert F gate rows, then F up rows
  Tensor w_shared_gate_up_2SD, w_shared_down_DS;
  Tensor w_shared_gate_1D;  ///< qwen2_moe's sigmoid gate
};

struct Params {
  Tensor embed_VD, final_norm_D;
  Tensor lm_head_VD;  ///< absent when tied to the embedding
  std::vector<LayerParams> layers;
  Tensor flat;  ///< everything, padding included
};

/// A tensor under the name and in the shape that checkpoints of the family give it: `numel`
/// adjacent elements of a storage tensor from element `first` on.
struct CheckpointPart {
  std::string name;
  std::vector<int64_t> shape;
  int64_t first = 0, numel = 0;
};

/// One storage tensor and the checkpoint tensors it is made of, which cover it in order.
struct ParamTensor {
  std::string name;  ///< "layers.3.w_qkv"
  TensorKind kind = TensorKind::kMatrix;
  int64_t layer = -1;  ///< -1: a member of Params
  Tensor Params::*global = nullptr;
  Tensor LayerParams::*in_layer = nullptr;
  std::vector<int64_t> shape;
  int64_t offset = 0, numel = 0;  ///< in the flat buffer; offsets are multiples of 16 elements
  std::vector<CheckpointPart> parts;
  std::string fused_name;  ///< under which a checkpoint may hold all experts as one tensor
};

/// Every tensor of the model in the order of the flat buffer (embedding, layers, final norm, head).
std::vector<ParamTensor> list_params(const ModelConfig& config);

/// Elements of the flat buffer (each tensor padded to 16 elements).
int64_t flat_size(const std::vector<ParamTensor>& list);

/// Parameters without padding; active = those a token uses (K of E experts; the input embedding
/// counts, as in the paper's Table 1).
int64_t count_params(const ModelConfig& config);
int64_t count_active_params(const ModelConfig& config);

/// Views of `flat` (flat_size elements).
Params view_params(const ModelConfig& config, float* flat);

/// The storage tensor's view in `params`.
Tensor tensor_of(const Params& params, const ParamTensor& tensor);
/// The checkpoint tensor's view, in its own shape.
Tensor part_of(const Params& params, const ParamTensor& tensor, const CheckpointPart& part);

using TensorVisitor =
    std::function<void(const std::string& name, const Tensor& tensor, TensorKind kind)>;
void for_each_tensor(const ModelConfig& config, const Params& params, const TensorVisitor& visit);
void for_each_checkpoint_tensor(const ModelConfig& config, const Params& params,
                                const TensorVisitor& visit);

/// Random weights keyed by (seed, checkpoint name, element): matrices normal(0, initializer_range),
/// norms and router_scale 1, biases 0. Padding is left alone.
void init_params(ThreadPool& threads, const ModelConfig& config, uint64_t seed,
                 const Params& params);
/// Elements [begin, end) of one checkpoint tensor of that initialisation.
void init_elements(const ModelConfig& config, uint64_t seed, const std::string& name,
                   TensorKind kind, int64_t begin, int64_t end, float* out);

}  // namespace moge
