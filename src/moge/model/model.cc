#include "moge/model/model.h"

#include <algorithm>

#include "moge/model/bump.h"
#include "moge/model/rope.h"
#include "moge/ops/expert_mlp.h"
#include "moge/ops/moe.h"
#include "moge/ops/optimizer.h"
#include "moge/plan/activations.h"

namespace moge {

Model Model::make(const ModelConfig& config, ModelWeights weights, DType dtype, int64_t positions) {
  Model model;
  model.config = config;
  model.weights = std::move(weights);
  model.dtype = dtype;
  model.rope =
      make_rope_table(config, positions > 0 ? positions : config.max_position, model.rope_storage);
  model.dispatch = std::make_unique<LocalDispatch>();
  model.sum = std::make_unique<LocalSum>();
  return model;
}

namespace {
static_assert(Arena::kAlignment == plan::kArenaAlignment);
constexpr int64_t padded(int64_t bytes) { return plan::arena_bytes(bytes); }

int64_t workspace_bytes(const Model& model, int64_t T) {
  int64_t bytes = 0;
  for (int64_t l = 0; l < model.config.num_layers(); ++l)
    bytes = std::max(bytes, plan::layer_inference_bytes(model.config, l, T, size_of(model.dtype),
                                                        fuses_experts(model.layer(l))));
  return bytes;
}
}  // namespace

int64_t forward_bytes(const Model& model, int64_t T) {
  return 2 * padded(4 * T * model.config.hidden_size) + padded(workspace_bytes(model, T));
}

int64_t logits_bytes(const ModelConfig& config, int64_t S, DType dtype) {
  return padded(4 * S * config.hidden_size) + padded(size_of(dtype) * S * config.hidden_size);
}

size_t scratch_bytes(const Context& context, const ModelConfig& c, int64_t T) {
  size_t bytes = attention_scratch_bytes(context, T, c.num_heads, c.num_kv_heads, c.head_dim);
  bytes = std::max(bytes, paged_attention_scratch_bytes(context, T, c.head_dim));
  for (const ParamTensor& t : list_params(c)) {
    if (t.kind != TensorKind::kMatrix) continue;
    const bool grouped = t.shape.size() == 3;
    const int64_t E = grouped ? t.shape[0] : 1, n = t.shape[grouped], k = t.shape[grouped + 1];
    const int64_t rows = E > 1 ? T * c.moe.top_k : T;
    bytes = std::max(bytes, linear_scratch_bytes(context, rows, E, n, k));
  }
  for (const bool moe : {false, true})
    bytes = std::max(
        bytes, expert_mlp_scratch_bytes(context, {.T = T,
                                                  .K = moe ? c.moe.top_k : 0,
                                                  .E = moe ? c.moe.num_experts : 0,
                                                  .D = c.hidden_size,
                                                  .F = moe ? c.moe.expert_width : 0,
                                                  .S = moe ? c.moe.shared_width : c.dense_width}));
  int64_t tensors = 0, elements = 0;  // of the gradient norm
  for (const ParamTensor& t : list_params(c)) {
    tensors += static_cast<int64_t>(t.parts.size());
    elements += t.numel;
  }
  bytes = std::max(bytes, sum_of_squares_scratch(tensors, elements));
  // Block sums of the small ops: at most 64 rows of a width, and counts of 1024 tokens each.
  const int64_t widest = std::max({c.hidden_size, c.q_width(), c.moe.num_experts});
  const int64_t small = 64 * 8 * widest + (T / 1024 + 1) * 4 * c.moe.num_experts + 4096;
  return std::max(bytes, static_cast<size_t>(padded(small)));
}

Tensor model_forward(const Context& context, const Model& model, const Batch& batch, Arena& arena,
                     const LayerObserver* observe) {
  const ModelConfig& c = model.config;
  const int64_t T = batch.num_tokens(), D = c.hidden_size;
  Tensor x_TD = Tensor::of(arena.allocate<float>(T * D), {T, D});
  Tensor next_TD = Tensor::of(arena.allocate<float>(T * D), {T, D});
  const size_t workspace = static_cast<size_t>(workspace_bytes(model, T));
  char* memory = arena.allocate<char>(static_cast<int64_t>(workspace));
  embedding_forward(context, batch.ids_T, model.weights.embed_VD, x_TD);
  for (int64_t l = 0; l < c.num_layers(); ++l) {
    Bump shared(memory, workspace);
    const Layer layer = model.layer(l);
    const Keep keep = fuses_experts(layer) ? Keep::kFusedInference : Keep::kInference;
    BlockActivations acts =
        make_activations(shared, shared, c, l, T, model.dtype, keep, Recompute::kOff);
    acts.x_TD = x_TD;
    block_forward(context, layer, batch, acts, next_TD);
    if (observe) (*observe)(l, acts);
    std::swap(x_TD, next_TD);
  }
  return x_TD;
}

void logits_for_rows(const Context& context, const Model& model, const Tensor& x_TD,
                     const Tensor& rows_S, Arena& arena, const Tensor& logits_SV) {
  ArenaScope scope(arena);
  const int64_t S = logits_SV.dim(0), D = model.config.hidden_size;
  Tensor wanted_SD = x_TD;
  if (rows_S) {
    wanted_SD = Tensor::of(arena.allocate<float>(S * D), {S, D});
    permute_forward(context, x_TD, rows_S, wanted_SD);
  }
  const Tensor final_SD(arena.allocate(static_cast<size_t>(S * D * size_of(model.dtype))),
                        model.dtype, {S, D});
  rmsnorm_forward(context, wanted_SD, model.weights.final_norm_D,
                  static_cast<float>(model.config.rms_norm_eps), final_SD, {});
  linear_forward(context, final_SD, model.weights.lm_head_VD, {}, {}, logits_SV);
}

}  // namespace moge
