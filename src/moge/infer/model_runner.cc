#include "moge/infer/model_runner.h"

#include <algorithm>
#include <vector>

#include "moge/core/error.h"
#include "moge/infer/kv_cache.h"

namespace moge::infer {

struct ModelRunner::State {
  State(ThreadPool& threads, const kernels::Table& table, const Model& model_in,
        RunnerOptions options_in);

  void place_tokens(std::span<const StepSlice> step_slices);
  void sample_plain_rows(int64_t rows);
  void record_experts(int64_t layer, const BlockActivations& acts);
  void record_plain_topk(int64_t layer, const Tensor& router_logits_TE);
  int64_t experts_per_row() const { return 2 * model.config.num_layers() * model.config.moe.top_k; }
  void compute_logits(int64_t block);

  const Model& model;
  RunnerOptions options;
  Arena workspace, scratch;
  Context context;
  KvCache kv;
  std::vector<int32_t> ids, positions, logit_rows, plain_rows, experts;
  std::vector<float> logits, probs_E, weights_K;  // the latter two of plain top-K
  int64_t logits_block = -1;                      // which of the step's blocks `logits` holds
  Tensor x_TD;                                    // of the step, in the workspace
  std::vector<SequenceSlice> slices;
  int64_t steps = 0;
};

namespace {

size_t workspace_bytes(const Model& model, const RunnerOptions& options) {
  const int64_t bytes = forward_bytes(model, options.max_tokens) +
                        logits_bytes(model.config, options.max_sequences, model.dtype);
  return static_cast<size_t>(bytes);
}

}  // namespace

ModelRunner::State::State(ThreadPool& threads, const kernels::Table& table, const Model& model_in,
                          RunnerOptions options_in)
    : model(model_in),
      options(options_in),
      workspace(workspace_bytes(model, options), "workspace"),
      scratch(scratch_bytes(Context{threads, table, workspace}, model.config, options.max_tokens),
              "scratch"),
      context{threads, table, scratch},
      kv(model.config, options.kv_dtype, options.page_tokens, options.num_pages) {
  if (options.commit_cache) kv.commit();
  const auto rows = static_cast<size_t>(options.max_tokens);
  ids.resize(rows);
  positions.resize(rows);
  experts.resize(rows * static_cast<size_t>(experts_per_row()));
  probs_E.resize(static_cast<size_t>(model.config.moe.num_experts));
  weights_K.resize(static_cast<size_t>(model.config.moe.top_k));
  const auto sequences = static_cast<size_t>(options.max_sequences);
  logit_rows.reserve(rows);
  plain_rows.reserve(rows);
  slices.reserve(sequences);
  logits.resize(sequences * static_cast<size_t>(model.config.vocab_size));
}

void ModelRunner::State::place_tokens(std::span<const StepSlice> step_slices) {
  slices.clear();
  logit_rows.clear();
  plain_rows.clear();
  int64_t row = 0;
  for (const StepSlice& slice : step_slices) {
    const auto count = static_cast<int64_t>(slice.ids.size());
    MOGE_ASSERT(count > 0 && row + count <= options.max_tokens);
    slices.push_back({.first_row = row,
                      .num_tokens = count,
                      .first_position = slice.first_position,
                      .page_table = slice.pages});
    for (int64_t i = 0; i < count; ++i, ++row) {
      ids[static_cast<size_t>(row)] = slice.ids[static_cast<size_t>(i)];
      positions[static_cast<size_t>(row)] = static_cast<int32_t>(slice.first_position + i);
    }
    MOGE_ASSERT(slice.logit_rows <= count);
    if (!slice.wants_logits) continue;
    for (int64_t wanted = row - slice.logit_rows; wanted < row; ++wanted) {
      logit_rows.push_back(static_cast<int32_t>(wanted));
      if (slice.wants_plain_topk) plain_rows.push_back(static_cast<int32_t>(wanted));
    }
  }
}

/// So that a served model's balance can be compared with plain top-K's: a few rows now and then.
void ModelRunner::State::sample_plain_rows(int64_t rows) {
  constexpr int64_t kEverySteps = 4, kRows = 4;
  if (++steps % kEverySteps != 0 || model.config.moe.num_groups == 1 || !plain_rows.empty()) return;
  for (int64_t i = 0; i < std::min(rows, kRows); ++i)
    plain_rows.push_back(static_cast<int32_t>(i * rows / std::min(rows, kRows)));
}

void ModelRunner::State::record_experts(int64_t layer, const BlockActivations& acts) {
  if (!model.config.layers[static_cast<size_t>(layer)].moe) return;
  const int64_t K = model.config.moe.top_k, per_row = experts_per_row();
  const Tensor& chosen_TK = acts.routing.ids_TK;
  for (int64_t t = 0; t < chosen_TK.dim(0); ++t)
    std::copy_n(chosen_TK.as<int32_t>() + t * K, K, experts.data() + t * per_row + layer * K);
  record_plain_topk(layer, acts.router_logits_TE);
}

/// Routes the rows that want it once more, all experts in one group.
void ModelRunner::State::record_plain_topk(int64_t layer, const Tensor& router_logits_TE) {
  const MoeConfig& moe = model.config.moe;
  for (int32_t row : plain_rows) {
    int32_t* chosen_K = experts.data() + row * experts_per_row() + experts_per_row() / 2;
    route_forward(context, router_logits_TE.rows(row, row + 1), {},
                  {.num_groups = 1, .top_k = moe.top_k},
                  Tensor::of(probs_E.data(), {1, moe.num_experts}),
                  Tensor::of(chosen_K + layer * moe.top_k, {1, moe.top_k}),
                  Tensor::of(weights_K.data(), {1, moe.top_k}));
  }
}

ModelRunner::ModelRunner(ThreadPool& threads, const kernels::Table& table, const Model& model,
                         RunnerOptions options)
    : state_(std::make_unique<State>(threads, table, model, options)) {}
ModelRunner::~ModelRunner() = default;

void ModelRunner::step(std::span<const StepSlice> step_slices) {
  State& s = *state_;
  MOGE_ASSERT(static_cast<int64_t>(step_slices.size()) <= s.options.max_sequences);
  s.place_tokens(step_slices);
  if (s.slices.empty()) return;
  const int64_t rows = s.slices.back().first_row + s.slices.back().num_tokens;
  s.sample_plain_rows(rows);
  const Batch batch{.ids_T = Tensor::of(s.ids.data(), {rows}),
                    .positions_T = Tensor::of(s.positions.data(), {rows}),
                    .slices = s.slices,
                    .caches = s.kv.layers()};
  const auto record = [&s](int64_t layer, const BlockActivations& acts) {
    s.record_experts(layer, acts);
  };
  const LayerObserver observer(record);
  std::fill_n(s.experts.begin(), rows * s.experts_per_row(), -1);
  s.workspace.reset_to(0);  // the last step's rows were kept for its logits
  s.x_TD = model_forward(s.context, s.model, batch, s.workspace, &observer);
  s.logits_block = -1;
  if (!s.logit_rows.empty()) s.compute_logits(0);
}

void ModelRunner::State::compute_logits(int64_t block) {
  const int64_t first = block * options.max_sequences;
  const int64_t count =
      std::min(options.max_sequences, static_cast<int64_t>(logit_rows.size()) - first);
  MOGE_ASSERT(count > 0);
  logits_for_rows(context, model, x_TD, Tensor::of(logit_rows.data() + first, {count}), workspace,
                  Tensor::of(logits.data(), {count, model.config.vocab_size}));
  logits_block = block;
}

std::span<float> ModelRunner::logits(int64_t i) {
  State& s = *state_;
  const int64_t block = i / s.options.max_sequences;
  if (block != s.logits_block) s.compute_logits(block);
  const auto V = static_cast<size_t>(s.model.config.vocab_size);
  return std::span(s.logits).subspan(static_cast<size_t>(i % s.options.max_sequences) * V, V);
}

void ModelRunner::add_hidden(int64_t first_row, int64_t rows, std::span<double> sum_D) {
  State& s = *state_;
  const ModelConfig& config = s.model.config;
  const int64_t D = config.hidden_size;
  for (int64_t done = 0; done < rows; done += s.options.max_sequences) {
    const int64_t count = std::min(s.options.max_sequences, rows - done);
    const ArenaScope scope(s.workspace);
    const Tensor final_SD = Tensor::of(s.workspace.allocate<float>(count * D), {count, D});
    rmsnorm_forward(s.context, s.x_TD.rows(first_row + done, first_row + done + count),
                    s.model.weights.final_norm_D, static_cast<float>(config.rms_norm_eps), final_SD,
                    {});
    for (int64_t i = 0; i < count * D; ++i)
      sum_D[static_cast<size_t>(i % D)] += static_cast<double>(final_SD.as<float>()[i]);
  }
}

std::span<const int32_t> ModelRunner::experts(int64_t row) const {
  const auto per_row = static_cast<size_t>(state_->experts_per_row());
  return std::span<const int32_t>(state_->experts)
      .subspan(static_cast<size_t>(row) * per_row, per_row);
}

ThreadPool& ModelRunner::threads() const { return state_->context.threads; }
const ModelConfig& ModelRunner::config() const { return state_->model.config; }
const RunnerOptions& ModelRunner::options() const { return state_->options; }

int64_t ModelRunner::page_bytes(const ModelConfig& config, int64_t page_tokens, DType kv_dtype) {
  return KvCache::page_bytes(config, kv_dtype, page_tokens);
}

}  // namespace moge::infer
