// A training step: forward, head and loss in chunks of rows, backward.
// T tokens, D model dim, V vocabulary, C rows of a chunk of logits.
#include <algorithm>

#include "moge/model/bump.h"
#include "moge/model/model.h"
#include "moge/ops/loss.h"
#include "moge/ops/moe.h"
#include "moge/plan/activations.h"

namespace moge {

int64_t StepBuffers::bytes(const ModelConfig& config, int64_t num_tokens, DType dtype,
                           Recompute recompute) {
  return plan::step_activation_bytes(config, num_tokens, size_of(dtype), recompute).total();
}

StepBuffers::StepBuffers(Arena& arena, const ModelConfig& c, int64_t T, DType dtype,
                         Recompute recompute_in)
    : num_tokens(T), recompute(recompute_in), aux_L(c.layers.size()), router_z_L(c.layers.size()) {
  const plan::StepBytes sizes = plan::step_activation_bytes(c, T, size_of(dtype), recompute);
  const int64_t D = c.hidden_size, V = c.vocab_size, C = plan::head_chunk_rows(c, T);
  const auto own = [&](int64_t bytes) { return arena.allocate(static_cast<size_t>(bytes)); };
  const auto floats = [&](std::initializer_list<int64_t> shape) {
    Tensor t(nullptr, DType::kF32, shape);
    t.data = own(t.bytes());
    return t;
  };
  char* shared = static_cast<char*>(own(sizes.shared()));
  for (int64_t l = 0; l < c.num_layers(); ++l) {
    Bump workspace(shared, static_cast<size_t>(sizes.workspace));
    layers.push_back(make_activations(own, workspace, c, l, T, dtype, Keep::kTraining, recompute));
    Bump temporary(shared + sizes.workspace, static_cast<size_t>(sizes.gradients));
    gradients.push_back(make_gradients(temporary, c, l, T, dtype));
  }
  x_TD = floats({T, D});
  dx_TD = floats({T, D});
  final_TD = Tensor(own(size_of(dtype) * T * D), dtype, {T, D});
  final_rstd_T = floats({T});
  loss_T = floats({T});
  lse_T = floats({T});
  Bump head(shared, static_cast<size_t>(sizes.shared()));
  dfinal_TD = Tensor(head(4 * T * D), DType::kF32, {T, D});
  logits_CV = Tensor(head(4 * C * V), DType::kF32, {C, V});
  if (dtype == DType::kBF16) dlogits_CV = Tensor(head(2 * C * V), DType::kBF16, {C, V});
}

namespace {
/// Balancing loss and router z-loss of one layer; leaves the former's gradient in acts.dprobs_E.
void router_losses(const Context& context, const ModelConfig& c, const LossOptions& options,
                   const BlockActivations& acts, double& aux, double& z) {
  if (options.aux_coeff != 0.0) {
    const double alpha = options.aux_coeff * options.router_scale;
    aux = balance_loss(context, acts.routing.probs_TE, acts.routing.offsets_E1, c.moe.top_k, alpha,
                       acts.dprobs_E) /
          options.router_scale;
  }
  if (options.router_z_coeff != 0.0)
    z = options.router_z_coeff * router_z_loss(context, acts.router_logits_TE, acts.router_lse_T);
}

RouterLossScale router_gradient(const LossOptions& options, int64_t T) {
  return {.balance = options.aux_coeff != 0.0,
          .z_scale = static_cast<float>(options.router_z_coeff * options.router_scale /
                                        static_cast<double>(T))};
}

/// Embedding and blocks; then the head's input in b.final_TD.
void forward(const Context& context, const Model& model, const Batch& batch,
             const LossOptions& options, StepBuffers& b, const LayerObserver* observe) {
  const ModelConfig& c = model.config;
  check(batch.num_tokens() == b.num_tokens, "[model] {} tokens, the buffers are made for {}",
        batch.num_tokens(), b.num_tokens);
  embedding_forward(context, batch.ids_T, model.weights.embed_VD, b.layers[0].x_TD);
  for (int64_t l = 0; l < c.num_layers(); ++l) {
    block_forward(context, model.layer(l), batch, b.layers[l], b.output_of(l));
    b.aux_L[l] = b.router_z_L[l] = 0.0;
    if (c.layers[l].moe)
      router_losses(context, c, options, b.layers[l], b.aux_L[l], b.router_z_L[l]);
    if (observe) (*observe)(l, b.layers[l]);
  }
  rmsnorm_forward(context, b.x_TD, model.weights.final_norm_D, static_cast<float>(c.rms_norm_eps),
                  b.final_TD, b.final_rstd_T);
}

/// Calls chunk(begin, end, logits of those rows) for all rows.
template <class Chunk>
void for_logit_chunks(const Context& context, const Model& model, const StepBuffers& b,
                      Chunk chunk) {
  const int64_t T = b.num_tokens, C = b.logits_CV.dim(0);
  for (int64_t begin = 0; begin < T; begin += C) {
    const int64_t end = std::min(T, begin + C);
    const Tensor logits = b.logits_CV.rows(0, end - begin);
    linear_forward(context, b.final_TD.rows(begin, end), model.weights.lm_head_VD, {}, {}, logits);
    chunk(begin, end, logits);
  }
}

/// Loss of every token; gradients of the head's weight and, in b.dfinal_TD, of its input.
void head_forward_backward(const Context& context, const Model& model, const Tensor& targets_T,
                           const Tensor& mask_T, const LossOptions& options, StepBuffers& b,
                           const Params& grads) {
  const Tensor dhead_VD = grads.lm_head_VD ? grads.lm_head_VD : grads.embed_VD;
  for_logit_chunks(context, model, b, [&](int64_t begin, int64_t end, const Tensor& logits) {
    Tensor dlogits = b.dlogits_CV ? b.dlogits_CV.rows(0, end - begin) : Tensor{};
    cross_entropy_forward_backward(context, logits, targets_T.rows(begin, end),
                                   mask_T.rows(begin, end), options.scale, options.z_coeff,
                                   b.loss_T.rows(begin, end), b.lse_T.rows(begin, end), dlogits);
    if (!dlogits) dlogits = logits;
    linear_backward_input(context, dlogits, model.weights.lm_head_VD, {},
                          b.dfinal_TD.rows(begin, end));
    linear_backward_weight(context, dlogits, b.final_TD.rows(begin, end), {}, dhead_VD, {});
  });
}

LossResult summed(const StepBuffers& b, const Tensor& targets_T, const Tensor& mask_T,
                  float z_coeff) {
  LossResult result{.aux_L = b.aux_L, .router_z_L = b.router_z_L};
  for (int64_t t = 0; t < b.num_tokens; ++t) {
    if (targets_T.as<int32_t>()[t] < 0) continue;
    const double mask = mask_T.as<float>()[t], lse = b.lse_T.as<float>()[t];
    const double z = z_coeff == 0.0f ? 0.0 : mask * z_coeff * lse * lse;
    result.loss_sum += b.loss_T.as<float>()[t] - z;
    result.z_sum += z;
    result.mask_sum += mask;
  }
  return result;
}
}  // namespace

LossResult loss_forward_backward(const Context& context, const Model& model, const Batch& batch,
                                 const Tensor& targets_T, const Tensor& mask_T,
                                 const LossOptions& options, StepBuffers& b, const Params& grads,
                                 const LayerObserver* observe) {
  forward(context, model, batch, options, b, observe);
  head_forward_backward(context, model, targets_T, mask_T, options, b, grads);
  rmsnorm_backward_input(context, b.dfinal_TD, b.x_TD, model.weights.final_norm_D, b.final_rstd_T,
                         /*accumulate=*/false, b.dx_TD);
  rmsnorm_backward_weight(context, b.dfinal_TD, b.x_TD, b.final_rstd_T, grads.final_norm_D);
  const RouterLossScale router = router_gradient(options, b.num_tokens);
  for (int64_t l = model.config.num_layers() - 1; l >= 0; --l) {
    const Layer layer = model.layer(l);
    block_recompute(context, layer, batch, b.recompute, b.layers[l], b.output_of(l));
    block_backward_input(context, layer, batch, b.layers[l], b.gradients[l], router, b.dx_TD);
    block_backward_weight(context, layer, b.layers[l], b.gradients[l], grads.layers[l]);
  }
  embedding_backward(context, batch.ids_T, b.dx_TD, grads.embed_VD);
  return summed(b, targets_T, mask_T, options.z_coeff);
}

LossResult loss_forward(const Context& context, const Model& model, const Batch& batch,
                        const Tensor& targets_T, const Tensor& mask_T, const LossOptions& options,
                        StepBuffers& b, const LayerObserver* observe) {
  forward(context, model, batch, options, b, observe);
  for_logit_chunks(context, model, b, [&](int64_t begin, int64_t end, const Tensor& logits) {
    cross_entropy_forward(context, logits, targets_T.rows(begin, end), mask_T.rows(begin, end),
                          b.loss_T.rows(begin, end), b.lse_T.rows(begin, end));
  });
  return summed(b, targets_T, mask_T, /*z_coeff=*/0.0f);
}

}  // namespace moge
