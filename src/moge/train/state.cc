#include "moge/train/state.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "moge/model/weights.h"
#include "moge/ops/elementwise.h"
#include "moge/ops/optimizer.h"

namespace moge::train {

namespace {

/// Gradient views of every checkpoint tensor, in name order.
std::vector<Tensor> sort_by_name(const std::vector<ParamTensor>& list, const Params& grads) {
  std::vector<std::pair<std::string, Tensor>> named;
  for (const ParamTensor& tensor : list)
    for (const CheckpointPart& part : tensor.parts)
      named.emplace_back(part.name, part_of(grads, tensor, part));
  std::sort(named.begin(), named.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Tensor> views;
  for (auto& [name, view] : named) views.push_back(view);
  return views;
}

Tensor flat_view(const Params& params, const ParamTensor& tensor) {
  return Tensor::of(params.flat.as<float>() + tensor.offset, {tensor.numel});
}

}  // namespace

TrainState::TrainState(const ModelConfig& config, bool bf16)
    : config_(config), list_(list_params(config)) {
  const int64_t size = flat_size(list_);
  for (Params* params : {&weights_, &grads_, &exp_avg_, &exp_avg_sq_}) {
    buffers_.emplace_back(static_cast<size_t>(size) * sizeof(float));
    *params = view_params(config, buffers_.back().as<float>());
  }
  if (bf16) {
    buffers_.emplace_back(static_cast<size_t>(size) * sizeof(BFloat16));
    bf16_flat_ = Tensor::of(buffers_.back().as<BFloat16>(), {size});
  }
  grads_by_name_ = sort_by_name(list_, grads_);
}

int64_t TrainState::bytes(const ModelConfig& config, bool bf16) {
  return flat_size(list_params(config)) * (bf16 ? 18 : 16);
}

void TrainState::zero_grads(const Context& context) { fill_zero(context, grads_.flat); }

double TrainState::grad_norm(const Context& context) const {
  return std::sqrt(sum_of_squares(context, grads_by_name_));
}

void TrainState::update(const Context& context, const OptimizerConfig& options,
                        double learning_rate, int64_t step, double grad_scale) {
  AdamWOptions adamw{.lr = static_cast<float>(learning_rate),
                     .beta1 = static_cast<float>(options.adam_beta1),
                     .beta2 = static_cast<float>(options.adam_beta2),
                     .eps = static_cast<float>(options.adam_eps),
                     .step = step,
                     .grad_scale = static_cast<float>(grad_scale)};
  for (const ParamTensor& tensor : list_) {
    const bool matrix = tensor.kind == TensorKind::kMatrix;
    adamw.weight_decay = matrix ? static_cast<float>(options.weight_decay) : 0.0f;
    Tensor copy;
    if (bf16_flat_ && matrix)
      copy = Tensor::of(bf16_flat_.as<BFloat16>() + tensor.offset, {tensor.numel});
    adamw_step(context, flat_view(weights_, tensor), flat_view(exp_avg_, tensor),
               flat_view(exp_avg_sq_, tensor), flat_view(grads_, tensor), adamw, copy);
  }
}

void TrainState::copy_from(const TrainState& other) {
  const auto copy = [](const Params& from, const Params& to) {
    std::memcpy(to.flat.data, from.flat.data, static_cast<size_t>(to.flat.bytes()));
  };
  copy(other.weights_, weights_);
  copy(other.exp_avg_, exp_avg_);
  copy(other.exp_avg_sq_, exp_avg_sq_);
}

void TrainState::refresh_bf16(const Context& context) {
  if (bf16_flat_) round_to_bf16(context, config_, weights_, bf16_flat_);
}

}  // namespace moge::train
