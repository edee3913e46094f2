#include "moge/infer/expert_recorder.h"

#include <algorithm>
#include <chrono>

#include "moge/infer/model_runner.h"

namespace moge::infer {

namespace {

constexpr int64_t kSpanSeconds = 5, kSpans = 12;
constexpr auto kRelaxed = std::memory_order_relaxed;

int64_t seconds_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// There is one writer: no need to read and write at once.
template <class T>
void add(std::atomic<T>& to, T value) {
  to.store(to.load(kRelaxed) + value, kRelaxed);
}

int64_t groups_of(const MoeConfig& moe) {
  if (moe.num_groups > 1) return moe.num_groups;
  return moe.num_experts % 8 == 0 ? 8 : 1;
}

}  // namespace

struct ExpertRecorder::Span {
  struct Layer {
    std::atomic<int64_t> steps{0};
    std::atomic<double> row_imbalance{0}, byte_imbalance{0}, distinct{0};
  };
  Span(int64_t layers, int64_t experts)
      : rows_LE(static_cast<size_t>(layers * experts)),
        plain_LE(static_cast<size_t>(layers * experts)),
        layers_L(static_cast<size_t>(layers)) {}

  void clear() {
    for (auto& count : rows_LE) count.store(0, kRelaxed);
    for (auto& count : plain_LE) count.store(0, kRelaxed);
    for (Layer& layer : layers_L) {
      layer.steps.store(0, kRelaxed);
      layer.row_imbalance.store(0, kRelaxed);
      layer.byte_imbalance.store(0, kRelaxed);
      layer.distinct.store(0, kRelaxed);
    }
    tokens.store(0, kRelaxed);
    began.store(seconds_now(), kRelaxed);
  }

  std::vector<std::atomic<int64_t>> rows_LE, plain_LE;
  std::vector<Layer> layers_L;
  std::atomic<int64_t> tokens{0}, began{-1};
};

ExpertRecorder::ExpertRecorder(const ModelConfig& config)
    : config_(config),
      layers_(config.num_layers()),
      experts_(config.moe.num_experts),
      groups_(groups_of(config.moe)),
      record_(std::make_unique<Span>(layers_, experts_)),
      step_E_(static_cast<size_t>(experts_)) {
  for (int64_t i = 0; i < kSpans; ++i) spans_.push_back(std::make_unique<Span>(layers_, experts_));
}

ExpertRecorder::~ExpertRecorder() = default;

void ExpertRecorder::open_span(int64_t number) {
  for (int64_t n = std::max(span_number_ + 1, number - kSpans + 1); n <= number; ++n)
    spans_[static_cast<size_t>(n % kSpans)]->clear();
  span_number_ = number;
}

void ExpertRecorder::on_step(const ModelRunner& runner, int64_t rows) {
  if (experts_ == 0) return;
  if (const int64_t number = seconds_now() / kSpanSeconds; number != span_number_)
    open_span(number);
  if (const int command = command_.exchange(kNothing); command != kNothing) {
    if (command == kStart) record_->clear();
    recording_.store(command == kStart);
  }
  add(spans_[static_cast<size_t>(span_number_ % kSpans)]->tokens, rows);
  if (recording_.load(kRelaxed)) add(record_->tokens, rows);
  for (int64_t layer = 0; layer < layers_; ++layer)
    if (config_.layers[static_cast<size_t>(layer)].moe) {
      count_layer(runner, rows, layer);
      if (config_.moe.num_groups > 1) count_plain(runner, rows, layer);
    }
}

void ExpertRecorder::count_plain(const ModelRunner& runner, int64_t rows, int64_t layer) {
  const int64_t K = config_.moe.top_k, first = (layers_ + layer) * K;
  Span& span = *spans_[static_cast<size_t>(span_number_ % kSpans)];
  for (int64_t row = 0; row < rows; ++row)
    for (int32_t id :
         runner.experts(row).subspan(static_cast<size_t>(first), static_cast<size_t>(K))) {
      if (id < 0) break;
      const auto cell = static_cast<size_t>(layer * experts_ + id);
      add(span.plain_LE[cell], int64_t{1});
      if (recording_.load(kRelaxed)) add(record_->plain_LE[cell], int64_t{1});
    }
}

void ExpertRecorder::count_layer(const ModelRunner& runner, int64_t rows, int64_t layer) {
  const int64_t K = config_.moe.top_k, per_group = experts_ / groups_;
  std::fill(step_E_.begin(), step_E_.end(), 0);
  for (int64_t row = 0; row < rows; ++row)
    for (int32_t id :
         runner.experts(row).subspan(static_cast<size_t>(layer * K), static_cast<size_t>(K)))
      if (id >= 0) ++step_E_[static_cast<size_t>(id)];
  int64_t most_rows = 0, fewest_rows = rows * K, most_distinct = 0, distinct = 0;
  for (int64_t group = 0; group < groups_; ++group) {
    int64_t group_rows = 0, group_distinct = 0;
    for (int64_t e = group * per_group; e < (group + 1) * per_group; ++e) {
      group_rows += step_E_[static_cast<size_t>(e)];
      group_distinct += step_E_[static_cast<size_t>(e)] > 0;
    }
    most_rows = std::max(most_rows, group_rows);
    fewest_rows = std::min(fewest_rows, group_rows);
    most_distinct = std::max(most_distinct, group_distinct);
    distinct += group_distinct;
  }
  const auto count_in = [&](Span& span) {
    for (int64_t e = 0; e < experts_; ++e)
      if (const int64_t n = step_E_[static_cast<size_t>(e)]; n > 0)
        add(span.rows_LE[static_cast<size_t>(layer * experts_ + e)], n);
    Span::Layer& l = span.layers_L[static_cast<size_t>(layer)];
    add(l.steps, int64_t{1});
    add(l.row_imbalance, static_cast<double>(most_rows - fewest_rows) / static_cast<double>(rows));
    add(l.byte_imbalance, static_cast<double>(most_distinct * groups_) /
                              static_cast<double>(std::max<int64_t>(1, distinct)));
    add(l.distinct, static_cast<double>(distinct));
  };
  count_in(*spans_[static_cast<size_t>(span_number_ % kSpans)]);
  if (recording_.load(kRelaxed)) count_in(*record_);
}

ExpertLoad ExpertRecorder::sum_of(const std::vector<const Span*>& spans) const {
  ExpertLoad load;
  load.layers.resize(static_cast<size_t>(layers_));
  int64_t first = seconds_now();
  const int64_t now = first;
  for (const Span* span : spans) {
    load.tokens += span->tokens.load(kRelaxed);
    first = std::min(first, span->began.load(kRelaxed));
  }
  load.seconds = static_cast<double>(now - first);
  for (size_t layer = 0; layer < load.layers.size(); ++layer) {
    if (!config_.layers[layer].moe) continue;
    LayerLoad& sum = load.layers[layer];
    sum.rows_E.resize(static_cast<size_t>(experts_));
    if (config_.moe.num_groups > 1) sum.plain_E.resize(sum.rows_E.size());
    double row_imbalance = 0, byte_imbalance = 0, distinct = 0;
    for (const Span* span : spans) {
      for (size_t e = 0; e < sum.plain_E.size(); ++e)
        sum.plain_E[e] += span->plain_LE[layer * sum.rows_E.size() + e].load(kRelaxed);
      for (size_t e = 0; e < sum.rows_E.size(); ++e)
        sum.rows_E[e] += span->rows_LE[layer * sum.rows_E.size() + e].load(kRelaxed);
      const Span::Layer& l = span->layers_L[layer];
      sum.steps += l.steps.load(kRelaxed);
      row_imbalance += l.row_imbalance.load(kRelaxed);
      byte_imbalance += l.byte_imbalance.load(kRelaxed);
      distinct += l.distinct.load(kRelaxed);
    }
    if (sum.steps == 0) continue;
    const auto steps = static_cast<double>(sum.steps);
    sum.row_imbalance = row_imbalance / steps;
    sum.byte_imbalance = byte_imbalance / steps;
    sum.distinct = distinct / steps;
  }
  return load;
}

ExpertLoad ExpertRecorder::last_minute() const {
  const int64_t oldest = seconds_now() - kSpanSeconds * kSpans;
  std::vector<const Span*> spans;
  for (const auto& span : spans_)
    if (span->began.load(kRelaxed) >= std::max<int64_t>(0, oldest)) spans.push_back(span.get());
  return sum_of(spans);
}

ExpertLoad ExpertRecorder::recorded() const {
  if (record_->began.load(kRelaxed) < 0) return sum_of({});
  return sum_of({record_.get()});
}

}  // namespace moge::infer
