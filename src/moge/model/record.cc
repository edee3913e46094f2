#include "moge/model/record.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "moge/core/error.h"

namespace moge {

namespace {
NamedArray array_of(std::string name, const Tensor& t) {
  NamedArray array;
  array.name = std::move(name);
  array.dtype = t.dtype;
  array.shape.assign(t.shape.begin(), t.shape.begin() + t.rank);
  const auto n = static_cast<size_t>(t.numel());
  if (t.dtype == DType::kI32)
    array.ints.assign(t.as<int32_t>(), t.as<int32_t>() + n);
  else
    array.floats.assign(t.as<float>(), t.as<float>() + n);
  return array;
}

NamedArray scalars(std::string name, std::vector<float> values) {
  NamedArray array;
  array.name = std::move(name);
  array.shape = {static_cast<int64_t>(values.size())};
  array.floats = std::move(values);
  return array;
}

/// Notes what passes the seam: in forward, a layer's attention output, then its MLP output.
class RecordingSum final : public PartialSum {
 public:
  RecordingSum(std::string prefix, int64_t num_layers, std::vector<NamedArray>& out)
      : prefix_(std::move(prefix)), sums_(2 * num_layers), out_(out) {}
  Tensor bias_of_product(const Tensor& bias_D) const override { return bias_D; }
  LinearOptions of_product(int64_t k) const override { return LocalSum().of_product(k); }
  void sum(const Context&, const Tensor&, const Tensor& y_TD) override {
    if (seen_ >= sums_) return;  // backward, or a block computed again
    const char* what = seen_ % 2 == 0 ? "attn." : "mlp.";
    out_.push_back(array_of(prefix_ + what + std::to_string(seen_ / 2), y_TD));
    ++seen_;
  }

 private:
  std::string prefix_;
  int64_t sums_, seen_ = 0;
  std::vector<NamedArray>& out_;
};

/// Inputs of one sequence.
struct Sequence {
  explicit Sequence(const std::vector<int32_t>& tokens)
      : ids(tokens), positions(tokens.size()), targets(tokens), mask(tokens.size(), 1.0f) {
    std::iota(positions.begin(), positions.end(), 0);
    std::rotate(targets.begin(), targets.begin() + 1, targets.end());
    targets.back() = -1;
    offsets = {0, static_cast<int32_t>(tokens.size())};
  }
  int64_t size() const { return static_cast<int64_t>(ids.size()); }
  Batch batch() {
    return {.ids_T = Tensor::of(ids.data(), {size()}),
            .positions_T = Tensor::of(positions.data(), {size()}),
            .offsets = offsets};
  }

  std::vector<int32_t> ids, positions, targets, offsets;
  std::vector<float> mask;
};

void record_router(const std::string& prefix, int64_t layer, const BlockActivations& acts,
                   std::vector<NamedArray>& out) {
  const std::string l = std::to_string(layer);
  out.push_back(array_of(prefix + "router_logits." + l, acts.router_logits_TE));
  out.push_back(array_of(prefix + "router_probs." + l, acts.routing.probs_TE));
  out.push_back(array_of(prefix + "router_ids." + l, acts.routing.ids_TK));
  out.push_back(array_of(prefix + "router_weights." + l, acts.routing.weights_TK));
}

/// One sequence through forward, and backward where `grads` is given.
void record_one(ThreadPool& threads, const kernels::Table& table, const ModelConfig& config,
                const Params& params, const std::vector<int32_t>& tokens, int64_t index,
                const RecordOptions& options, const Params* grads, std::vector<NamedArray>& out) {
  const std::string prefix = "seq" + std::to_string(index) + ".";
  Sequence sequence(tokens);
  const int64_t T = sequence.size();
  Model model = Model::make(config, training_weights(config, params), DType::kF32, T);
  model.sum = std::make_unique<RecordingSum>(prefix, config.num_layers(), out);
  Arena none(0);
  const size_t scratch_size = scratch_bytes({threads, table, none}, config, T);
  Arena scratch(scratch_size, "scratch");
  const Context context{threads, table, scratch};
  const int64_t V = config.vocab_size;
  Arena arena(static_cast<size_t>(StepBuffers::bytes(config, T, DType::kF32, options.recompute) +
                                  logits_bytes(config, T, DType::kF32) +
                                  static_cast<int64_t>(Arena::padded(4 * T * V))));
  StepBuffers buffers(arena, config, T, DType::kF32, options.recompute);
  const auto observe = [&](int64_t l, const BlockActivations& acts) {
    if (config.layers[l].moe) record_router(prefix, l, acts, out);
  };
  const LayerObserver observer = observe;

  LossOptions loss;
  loss.scale = T > 1 ? 1.0f / static_cast<float>(T - 1) : 0.0f;
  loss.aux_coeff = grads ? options.aux_loss_coeff.value_or(0.0) : 0.0;
  const Tensor targets = Tensor::of(sequence.targets.data(), {T});
  const Tensor mask = Tensor::of(sequence.mask.data(), {T});
  const LossResult result = grads ? loss_forward_backward(context, model, sequence.batch(), targets,
                                                          mask, loss, buffers, *grads, &observer)
                                  : loss_forward(context, model, sequence.batch(), targets, mask,
                                                 loss, buffers, &observer);
  for (int64_t l = 0; l < config.num_layers(); ++l)
    out.push_back(array_of(prefix + "hidden." + std::to_string(l), buffers.output_of(l)));
  out.push_back(array_of(prefix + "final_norm", buffers.final_TD));
  const Tensor logits_TV = Tensor::of(arena.allocate<float>(T * V), {T, V});
  logits_for_rows(context, model, buffers.x_TD, {}, arena, logits_TV);
  out.push_back(array_of(prefix + "logits", logits_TV));
  if (T > 1)
    out.push_back(scalars(prefix + "loss", {static_cast<float>(result.loss_sum / (T - 1.0))}));
  if (grads && options.aux_loss_coeff)
    out.push_back(scalars("aux_loss", {result.aux_L.begin(), result.aux_L.end()}));
}
}  // namespace

std::vector<NamedArray> record_sequences(ThreadPool& threads, const kernels::Table& table,
                                         const ModelConfig& config, const Params& params,
                                         std::span<const std::vector<int32_t>> sequences,
                                         const RecordOptions& options) {
  std::vector<NamedArray> out;
  Buffer grad_memory;
  std::optional<Params> grads;
  if (options.gradients) {
    grad_memory = Buffer(static_cast<size_t>(params.flat.bytes()));
    grads = view_params(config, grad_memory.as<float>());
  }
  for (size_t i = 0; i < sequences.size(); ++i) {
    check(!sequences[i].empty(), "sequence {} has no tokens", i);
    check(static_cast<int64_t>(sequences[i].size()) <= config.max_position,
          "sequence {} has {} tokens, more than the model's {} positions", i, sequences[i].size(),
          config.max_position);
    const bool last = i + 1 == sequences.size();
    record_one(threads, table, config, params, sequences[i], static_cast<int64_t>(i), options,
               last && grads ? &*grads : nullptr, out);
  }
  if (grads)
    for_each_checkpoint_tensor(config, *grads,
                               [&](const std::string& name, const Tensor& grad, TensorKind) {
                                 out.push_back(array_of("grad." + name, grad));
                               });
  return out;
}

}  // namespace moge
