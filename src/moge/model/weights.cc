#include "moge/model/weights.h"

#include "moge/core/error.h"
#include "moge/model/members.h"
#include "moge/ops/elementwise.h"

namespace moge {

namespace {
/// `t`, or where it lies in the bf16 copy of the flat buffer.
Tensor trained_view(const Params& params, const Tensor& bf16_flat, Tensor t) {
  if (!t || !bf16_flat) return t;
  const int64_t offset = static_cast<float*>(t.data) - params.flat.as<float>();
  t.data = bf16_flat.as<BFloat16>() + offset;
  t.dtype = DType::kBF16;
  return t;
}
}  // namespace

Weight weight_of(const Tensor& t) {
  if (!t) return {};
  return t.rank == 3 ? Weight::grouped(t) : Weight::dense(t);
}

ModelWeights training_weights(const ModelConfig& config, const Params& params,
                              const Tensor& bf16_flat) {
  const auto matrix = [&](const Tensor& t) { return trained_view(params, bf16_flat, t); };
  ModelWeights w;
  w.embed_VD = matrix(params.embed_VD);
  w.final_norm_D = params.final_norm_D;
  w.lm_head_VD = weight_of(config.tied_embeddings ? w.embed_VD : matrix(params.lm_head_VD));
  for (const LayerParams& p : params.layers) {
    LayerWeights& l = w.layers.emplace_back();
    for (const MatrixMember& m : kLayerMatrices) l.*m.weights = weight_of(matrix(p.*m.params));
    for (const VectorMember& v : kLayerVectors) l.*v.weights = p.*v.params;
  }
  return w;
}

void round_to_bf16(const Context& context, const ModelConfig& config, const Params& params,
                   const Tensor& bf16_flat) {
  for (const ParamTensor& t : list_params(config))
    if (t.kind == TensorKind::kMatrix)
      cast(context, params.flat.slice(0, t.offset, t.offset + t.numel),
           bf16_flat.slice(0, t.offset, t.offset + t.numel));
}

Weight& matrix_member(ModelWeights& weights, const ParamTensor& tensor) {
  if (tensor.global == &Params::lm_head_VD) return weights.lm_head_VD;
  for (const MatrixMember& m : kLayerMatrices)
    if (tensor.in_layer == m.params) return weights.layers[tensor.layer].*m.weights;
  fail("[model] '{}' is no matrix of the block", tensor.name);
}

Tensor& vector_member(ModelWeights& weights, const ParamTensor& tensor) {
  if (tensor.global == &Params::final_norm_D) return weights.final_norm_D;
  for (const VectorMember& v : kLayerVectors)
    if (tensor.in_layer == v.params) return weights.layers[tensor.layer].*v.weights;
  fail("[model] '{}' is no vector of the block", tensor.name);
}

}  // namespace moge
