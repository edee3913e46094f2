// How often each expert is chosen while a model serves. Written by the engine's thread, read by any
// other without a lock: each figure is right by itself, two read together may be a step apart.
// L layers, E experts, G groups.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "moge/config/model_config.h"
#include "moge/infer/engine.h"

namespace moge::infer {

/// Of one layer over some time. A group is what one device holds; without groups eight blocks of
/// experts take their place where they can.
struct LayerLoad {
  std::vector<int64_t> rows_E;  ///< rows that chose each expert
  /// Of a sample of the rows: how many would have, with plain top-K; empty without groups.
  std::vector<int64_t> plain_E;
  int64_t steps = 0;
  double row_imbalance = 0;   ///< mean over steps of (most - fewest rows of a group) / tokens
  double byte_imbalance = 1;  ///< mean over steps of the most distinct experts of a group / mean
  double distinct = 0;        ///< mean over steps of the experts that a step touches
};

struct ExpertLoad {
  double seconds = 0;  ///< that the counts span, at most
  int64_t tokens = 0;
  std::vector<LayerLoad> layers;  ///< all layers; dense ones have no rows_E
};

class ExpertRecorder final : public StepObserver {
 public:
  explicit ExpertRecorder(const ModelConfig& config);
  ~ExpertRecorder() override;

  /// On the engine's thread, after each step.
  void on_step(const ModelRunner& runner, int64_t rows) override;

  /// From any thread: the last minute, and what was counted between start() and stop().
  ExpertLoad last_minute() const;
  ExpertLoad recorded() const;
  void start() { command_.store(kStart); }
  void stop() { command_.store(kStop); }
  bool recording() const { return command_.load() == kStart || recording_.load(); }

  int64_t num_groups() const { return groups_; }

 private:
  struct Span;  // the counts of some seconds
  enum Command { kNothing, kStart, kStop };
  void count_layer(const ModelRunner& runner, int64_t rows, int64_t layer);
  void count_plain(const ModelRunner& runner, int64_t rows, int64_t layer);
  void open_span(int64_t number);
  ExpertLoad sum_of(const std::vector<const Span*>& spans) const;

  const ModelConfig& config_;
  int64_t layers_, experts_, groups_;
  std::vector<std::unique_ptr<Span>> spans_;  // a ring
  std::unique_ptr<Span> record_;
  int64_t span_number_ = -1;
  std::vector<int64_t> step_E_;  // of the layer at hand
  std::atomic<int> command_{kNothing};
  std::atomic<bool> recording_{false};
};

}  // namespace moge::infer
