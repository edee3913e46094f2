#include "moge/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "moge/core/error.h"
#include "moge/train/batches.h"
#include "moge/train/schedule.h"

namespace moge::train {

namespace {

DType activation_dtype(const OptimizerConfig& options) {
  return options.bf16 ? DType::kBF16 : DType::kF32;
}

int64_t micro_tokens(const DataConfig& data, const OptimizerConfig& optimizer) {
  return optimizer.micro_batch_size * data.seq_length;
}

/// What plain top-K over the same probabilities would choose: rows per expert.
void count_plain_topk(const Tensor& probs_TE, int64_t top_k, std::span<int32_t> order,
                      std::span<int64_t> counts_E) {
  for (int64_t t = 0; t < probs_TE.dim(0); ++t) {
    const float* row = probs_TE.as<float>() + t * probs_TE.row_stride();
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + top_k, order.end(),
                      [&](int a, int b) { return row[a] != row[b] ? row[a] > row[b] : a < b; });
    for (int64_t k = 0; k < top_k; ++k) ++counts_E[static_cast<size_t>(order[k])];
  }
}

double mean_of_moe_layers(const ModelConfig& config, std::span<const double> values_L) {
  double sum = 0;
  int64_t layers = 0;
  for (size_t l = 0; l < values_L.size(); ++l)
    if (config.layers[l].moe) sum += values_L[l], ++layers;
  return layers ? sum / static_cast<double>(layers) : 0.0;
}

}  // namespace

void ExpertCounts::clear(const ModelConfig& config) {
  const auto size = static_cast<size_t>(config.num_layers() * config.moe.num_experts);
  routed.assign(size, 0);
  plain_topk.assign(size, 0);
}

Trainer::Trainer(ThreadPool& threads, const kernels::Table& table, const ModelConfig& model,
                 const DataConfig& data, const OptimizerConfig& optimizer)
    : config_(model),
      data_(data),
      optimizer_(optimizer),
      aux_coeff_(optimizer.moe_aux_loss_coeff.value_or(model.moe.aux_loss_coeff)),
      state_(model, optimizer.bf16),
      model_(Model::make(model, training_weights(model, state_.weights(), state_.bf16_flat()),
                         activation_dtype(optimizer), data.seq_length)),
      activation_bytes_(StepBuffers::bytes(model, micro_tokens(data, optimizer),
                                           activation_dtype(optimizer),
                                           optimizer.recompute_granularity)),
      activations_(std::make_unique<Arena>(static_cast<size_t>(activation_bytes_), "activations")),
      scratch_(std::make_unique<Arena>(scratch_bytes(Context{threads, table, *activations_}, model,
                                                     micro_tokens(data, optimizer)),
                                       "scratch")),
      context_{threads, table, *scratch_},
      buffers_(std::make_unique<StepBuffers>(*activations_, model, micro_tokens(data, optimizer),
                                             activation_dtype(optimizer),
                                             optimizer.recompute_granularity)) {
  if (optimizer.sum_in_eighths) model_.sum = std::make_unique<LocalSum>(/*always_in_eighths=*/true);
  check_batches(optimizer);
  check(data.seq_length <= model.max_position,
        "--seq-length {} is longer than the model's context of {} tokens", data.seq_length,
        model.max_position);
  const auto rows = static_cast<size_t>(optimizer.global_batch_size * data.seq_length);
  batch_.tokens.resize(rows);
  batch_.targets.resize(rows);
  batch_.positions.resize(rows);
  batch_.mask.resize(rows);
  batch_.lengths.reserve(rows);
  batch_.first_length.reserve(static_cast<size_t>(optimizer.global_batch_size) + 1);
  offsets_.reserve(rows + 1);
  order_E_.resize(static_cast<size_t>(model.moe.num_experts));
}

void Trainer::fill(const SampleSource& source, int64_t first, int64_t samples) {
  const auto T = static_cast<size_t>(data_.seq_length);
  batch_.lengths.clear();
  batch_.first_length.assign(1, 0);
  for (int64_t i = 0; i < samples; ++i) {
    const size_t at = static_cast<size_t>(i) * T;
    source(first + i, std::span(batch_.tokens).subspan(at, T),
           std::span(batch_.targets).subspan(at, T), std::span(batch_.positions).subspan(at, T),
           std::span(batch_.mask).subspan(at, T), batch_.lengths);
    batch_.first_length.push_back(static_cast<int64_t>(batch_.lengths.size()));
  }
}

double Trainer::masked_tokens(int64_t samples) const {
  double sum = 0;
  const auto rows = static_cast<size_t>(samples * data_.seq_length);
  for (size_t i = 0; i < rows; ++i) sum += batch_.targets[i] >= 0 ? batch_.mask[i] : 0.0f;
  return sum;
}

Batch Trainer::micro_batch(int64_t first_sample, int64_t samples) {
  offsets_.assign(1, 0);
  const auto begin = static_cast<size_t>(batch_.first_length[static_cast<size_t>(first_sample)]);
  const auto end =
      static_cast<size_t>(batch_.first_length[static_cast<size_t>(first_sample + samples)]);
  for (size_t i = begin; i < end; ++i) offsets_.push_back(offsets_.back() + batch_.lengths[i]);
  const int64_t at = first_sample * data_.seq_length, rows = samples * data_.seq_length;
  return {.ids_T = Tensor::of(batch_.tokens.data() + at, {rows}),
          .positions_T = Tensor::of(batch_.positions.data() + at, {rows}),
          .offsets = offsets_};
}

StepResult Trainer::step(int64_t step, const SampleSource& source, ExpertCounts* counts) {
  const auto [first_sample, samples] = samples_of_step(optimizer_, step);
  const int64_t micro = optimizer_.micro_batch_size;
  const int64_t num_micro = samples / micro, rows = micro * data_.seq_length;
  fill(source, first_sample, samples);
  const double tokens = std::max(1.0, masked_tokens(samples));
  const LossOptions options{.scale = static_cast<float>(1.0 / tokens),
                            .aux_coeff = aux_coeff_,
                            .router_z_coeff = optimizer_.moe_z_loss_coeff,
                            .router_scale = 1.0 / static_cast<double>(num_micro)};
  const auto count = [&](int64_t layer, const BlockActivations& acts) {
    if (!config_.layers[static_cast<size_t>(layer)].moe) return;
    const int64_t E = config_.moe.num_experts;
    const int32_t* offsets = acts.routing.offsets_E1.as<int32_t>();
    for (int64_t e = 0; e < E; ++e)
      counts->routed[static_cast<size_t>(layer * E + e)] += offsets[e + 1] - offsets[e];
    count_plain_topk(acts.routing.probs_TE, config_.moe.top_k, order_E_,
                     std::span(counts->plain_topk)
                         .subspan(static_cast<size_t>(layer * E), static_cast<size_t>(E)));
  };
  const LayerObserver observer(count);
  state_.zero_grads(context_);
  StepResult result;
  for (int64_t m = 0; m < num_micro; ++m) {
    const Batch batch = micro_batch(m * micro, micro);
    const LossResult loss = loss_forward_backward(
        context_, model_, batch, Tensor::of(batch_.targets.data() + m * rows, {rows}),
        Tensor::of(batch_.mask.data() + m * rows, {rows}), options, *buffers_, state_.grads(),
        counts ? &observer : nullptr);
    result.lm_loss += loss.loss_sum / tokens;
    result.aux_loss += mean_of_moe_layers(config_, loss.aux_L) / static_cast<double>(num_micro);
    result.z_loss += mean_of_moe_layers(config_, loss.router_z_L) / static_cast<double>(num_micro);
  }
  if (aux_coeff_ > 0) result.aux_loss /= aux_coeff_;
  if (optimizer_.moe_z_loss_coeff > 0) result.z_loss /= optimizer_.moe_z_loss_coeff;
  result.grad_norm = state_.grad_norm(context_);
  result.finite = std::isfinite(result.lm_loss) && std::isfinite(result.grad_norm);
  if (!result.finite && !optimizer_.no_check_for_nan_in_loss_and_grad) return result;
  const double clip = optimizer_.clip_grad > 0
                          ? std::min(1.0, optimizer_.clip_grad / (result.grad_norm + 1e-6))
                          : 1.0;
  state_.update(context_, optimizer_, learning_rate(optimizer_, step), step, clip);
  return result;
}

double Trainer::validate(const SampleSource& source, int64_t first, int64_t samples) {
  const int64_t micro = optimizer_.micro_batch_size, rows = micro * data_.seq_length;
  double loss_sum = 0, mask_sum = 0;
  for (int64_t done = 0; done < samples; done += micro) {
    fill(source, first + done, micro);
    const Batch batch = micro_batch(0, micro);
    const LossResult loss =
        loss_forward(context_, model_, batch, Tensor::of(batch_.targets.data(), {rows}),
                     Tensor::of(batch_.mask.data(), {rows}), {}, *buffers_);
    loss_sum += loss.loss_sum;
    mask_sum += loss.mask_sum;
  }
  return loss_sum / std::max(1.0, mask_sum);
}

int64_t Trainer::used_activation_bytes() const {
  return static_cast<int64_t>(activations_->high_water());
}

}  // namespace moge::train
