#include "bench_model_run.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>

#include "median.h"
#include "moge/core/rng.h"

namespace moge {

namespace {
constexpr int64_t kPageTokens = 32, kStepTokens = 512;

double timed(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}
}  // namespace

void BenchLimits::take_larger(const BenchLimits& other) {
  peak.fp32_gflops = std::max(peak.fp32_gflops, other.peak.fp32_gflops);
  peak.bf16_gflops = std::max(peak.bf16_gflops, other.peak.bf16_gflops);
  peak.int8_gops = std::max(peak.int8_gops, other.peak.int8_gops);
  read_gb_s = std::max(read_gb_s, other.read_gb_s);
}

void ModelCost::Cost::add(const kernels::Table& table, const Weight& w, int64_t of_experts) {
  if (!w) return;
  bytes += packed_bytes(table, w) / of_experts;
  (w.quantized() ? quantized : floats) += w.experts * w.n * w.k / of_experts;
}

ModelCost::ModelCost(const kernels::Table& table, const Model& model)
    : fixed_(model.weights.layers.size()),
      expert_(model.weights.layers.size()),
      top_k_(model.config.moe.top_k) {
  for (size_t l = 0; l < fixed_.size(); ++l) {
    const LayerWeights& w = model.weights.layers[l];
    for (const Weight* matrix : {&w.w_qkv_PD, &w.w_o_DA, &w.w_router_ED, &w.w_shared_gate_up_2SD,
                                 &w.w_shared_down_DS, &w.w_shared_gate_1D})
      fixed_[l].add(table, *matrix);
    const bool moe = model.config.layers[l].moe;
    for (const Weight* matrix : {&w.w_gate_up_E2FD, &w.w_down_EDF})
      (moe ? expert_ : fixed_)[l].add(table, *matrix, moe ? matrix->experts : 1);
  }
  head_.add(table, model.weights.lm_head_VD);
}

int64_t ModelCost::active_bytes() const {
  int64_t bytes = head_.bytes;
  for (size_t l = 0; l < fixed_.size(); ++l) bytes += fixed_[l].bytes + top_k_ * expert_[l].bytes;
  return bytes;
}

void ModelCost::add_weights(BenchRow& row, const std::vector<int64_t>& distinct, int64_t tokens,
                            int64_t logits) const {
  const auto add = [&](const Cost& cost, int64_t times_read, int64_t times_multiplied) {
    row.bytes += static_cast<double>(cost.bytes * times_read);
    row.weight_flops += 2.0 * static_cast<double>(cost.quantized * times_multiplied);
    row.float_flops += 2.0 * static_cast<double>(cost.floats * times_multiplied);
  };
  for (size_t l = 0; l < fixed_.size(); ++l) {
    add(fixed_[l], 1, tokens);
    add(expert_[l], distinct[l], tokens * top_k_);
  }
  add(head_, logits > 0, logits);
}

BenchModel::BenchModel(ThreadPool& threads, const kernels::Table& table, const Model& model,
                       const Options& options)
    : model_(model), options_(options), cost_(table, model) {
  int64_t most = 1;
  for (int64_t b : options.batches) most = std::max(most, b);
  const int64_t longest =
      std::max({options.prompt, options.predict, options.batch_prompt + options.batch_predict});
  const int64_t pages = (longest + kPageTokens - 1) / kPageTokens;
  streams_.resize(static_cast<size_t>(most));
  int32_t next = 0;
  for (size_t s = 0; s < streams_.size(); ++s) {
    for (int64_t p = 0; p < pages; ++p) streams_[s].pages.push_back(next++);
    for (int64_t p = 0; p < longest; ++p)
      streams_[s].prompt.push_back(token(static_cast<int64_t>(s), p));
  }
  runner_ = std::make_unique<infer::ModelRunner>(
      threads, table, model,
      infer::RunnerOptions{.max_tokens = std::max({kStepTokens, options.prompt, most}),
                           .max_sequences = std::max<int64_t>(most, 1),
                           .page_tokens = kPageTokens,
                           .num_pages = next,
                           .kv_dtype = options.kv_dtype});
}

int32_t BenchModel::token(int64_t stream, int64_t position) const {
  const Rng rng(options_.seed, "bench stream " + std::to_string(stream));
  return static_cast<int32_t>(rng.bits_at(static_cast<uint64_t>(position)) %
                              static_cast<uint64_t>(model_.config.vocab_size));
}

infer::StepSlice BenchModel::slice(int64_t stream, std::span<const int32_t> ids,
                                   int64_t first) const {
  const auto end = first + static_cast<int64_t>(ids.size());
  const auto pages = static_cast<size_t>((end + kPageTokens - 1) / kPageTokens);
  return {.ids = ids,
          .first_position = first,
          .pages = std::span(streams_[static_cast<size_t>(stream)].pages).first(pages),
          .wants_logits = true};
}

/// Of the step that has just run.
void BenchModel::count(const std::vector<infer::StepSlice>& slices, BenchRow& row) {
  const ModelConfig& c = model_.config;
  const int64_t L = c.num_layers(), K = c.moe.top_k;
  int64_t tokens = 0;
  for (const auto& s : slices) tokens += static_cast<int64_t>(s.ids.size());
  std::vector<int64_t> distinct(static_cast<size_t>(L));
  std::vector<uint8_t> seen(static_cast<size_t>(L * c.moe.num_experts));
  for (int64_t t = 0; t < tokens; ++t) {
    const auto experts = runner_->experts(t);
    for (int64_t i = 0; i < L * K; ++i)
      if (experts[static_cast<size_t>(i)] >= 0) {
        uint8_t& mark =
            seen[static_cast<size_t>(i / K * c.moe.num_experts + experts[static_cast<size_t>(i)])];
        distinct[static_cast<size_t>(i / K)] += !mark;
        mark = 1;
      }
  }
  cost_.add_weights(row, distinct, tokens, static_cast<int64_t>(slices.size()));
  const auto kv_bytes = static_cast<double>(
      infer::ModelRunner::page_bytes(c, kPageTokens, options_.kv_dtype) / (kPageTokens * L));
  int64_t moe_layers = 0, sum = 0;
  for (int64_t l = 0; l < L; ++l) {
    moe_layers += c.layers[static_cast<size_t>(l)].moe;
    sum += distinct[static_cast<size_t>(l)];
    const int64_t window = c.layers[static_cast<size_t>(l)].window;
    for (const auto& s : slices) {
      const auto n = static_cast<int64_t>(s.ids.size());
      const auto seen_by = [&](int64_t position) {
        return window > 0 ? std::min(window, position + 1) : position + 1;
      };
      row.bytes += kv_bytes * static_cast<double>(seen_by(s.first_position + n - 1));
      int64_t pairs = 0;
      for (int64_t i = 0; i < n; ++i) pairs += seen_by(s.first_position + i);
      row.float_flops += 4.0 * static_cast<double>(pairs * c.q_width());
    }
  }
  if (moe_layers > 0)
    row.distinct_experts += static_cast<double>(sum) / static_cast<double>(moe_layers);
}

double BenchModel::decode(int64_t streams, int64_t first, int64_t steps, BenchRow& row) {
  double seconds = 0;
  std::vector<int32_t> ids(static_cast<size_t>(streams));
  std::vector<infer::StepSlice> slices;
  for (int64_t step = 0; step < steps; ++step) {
    slices.clear();
    for (int64_t s = 0; s < streams; ++s) {
      int32_t& id = ids[static_cast<size_t>(s)];
      id = streams_[static_cast<size_t>(s)].prompt[static_cast<size_t>(first + step)];
      slices.push_back(slice(s, std::span(&id, 1), first + step));
    }
    seconds += timed([&] { runner_->step(slices); });
    count(slices, row);
  }
  return seconds;
}

void BenchModel::clear_profile() {
  if (options_.profiler) options_.profiler->clear();
}

BenchRow BenchModel::prompt() {
  const std::span ids(streams_[0].prompt.data(), static_cast<size_t>(options_.prompt));
  const std::vector<infer::StepSlice> slices = {slice(0, ids, 0)};
  runner_->step(slices);
  BenchRow row{.tokens = options_.prompt};
  count(slices, row);
  std::vector<double> seconds;
  for (int64_t i = 0; i < options_.repetitions; ++i) {
    clear_profile();
    seconds.push_back(timed([&] { runner_->step(slices); }));
  }
  row.last_seconds = seconds.back();
  row.seconds = median(seconds);
  return row;
}

BenchRow BenchModel::predict() {
  BenchRow warm_up, row{.tokens = options_.predict};
  decode(1, 0, std::min<int64_t>(options_.predict, 8), warm_up);
  std::vector<double> seconds;
  for (int64_t i = 0; i < options_.repetitions; ++i) {
    BenchRow again;
    clear_profile();
    seconds.push_back(decode(1, 0, options_.predict, i == 0 ? row : again));
  }
  row.last_seconds = seconds.back();
  row.distinct_experts /= static_cast<double>(options_.predict);
  row.seconds = median(seconds);
  return row;
}

void BenchModel::fill_prompts() {
  if (prompts_filled_) return;
  prompts_filled_ = true;
  const auto length = static_cast<size_t>(options_.batch_prompt);
  const auto at_once =
      static_cast<size_t>(std::max<int64_t>(1, kStepTokens / options_.batch_prompt));
  for (size_t begin = 0; begin < streams_.size(); begin += at_once) {
    std::vector<infer::StepSlice> slices;
    for (size_t s = begin; s < std::min(streams_.size(), begin + at_once); ++s)
      slices.push_back(
          slice(static_cast<int64_t>(s), std::span(streams_[s].prompt).first(length), 0));
    runner_->step(slices);
  }
}

BenchRow BenchModel::batch(int64_t streams) {
  fill_prompts();
  BenchRow warm_up, row{.tokens = streams * options_.batch_predict};
  decode(streams, options_.batch_prompt, 1, warm_up);
  std::vector<double> seconds;
  for (int64_t i = 0; i < options_.repetitions; ++i) {
    BenchRow again;
    clear_profile();
    seconds.push_back(
        decode(streams, options_.batch_prompt, options_.batch_predict, i == 0 ? row : again));
  }
  row.last_seconds = seconds.back();
  row.distinct_experts /= static_cast<double>(options_.batch_predict);
  row.seconds = median(seconds);
  return row;
}

}  // namespace moge
