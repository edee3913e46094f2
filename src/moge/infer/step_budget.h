// How many prompt rows a step may carry without stalling the streams that decode beside them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace moge::infer {

/// Learns from the steps' times: what a step of so many decoding rows takes alone, and what a
/// prompt row adds. A mixed step is to take at most kStretch times the decoding rows' own time, and
/// more where more prompts wait than streams decode: many would wait long for the comfort of few.
class StepBudget {
 public:
  explicit StepBudget(int64_t most_rows) : most_rows_(most_rows) {}

  /// Prompt rows for the next step beside `decode_rows`, while `prompts` sequences wait for theirs.
  /// 0 now and then: the step then measures the decoding rows alone.
  int64_t prompt_rows(int64_t decode_rows, int64_t prompts) const;
  void note(int64_t decode_rows, int64_t prompt_rows, double seconds);

  static constexpr double kStretch = 1.85;  ///< below 2, which is promised: times scatter
  static constexpr int64_t kLeast = 16;     ///< no prompt starves

 private:
  struct Measured {
    double seconds = 0;
    int64_t at_step = -1;  // -1: never
  };
  static size_t class_of(int64_t decode_rows);

  int64_t most_rows_, step_ = 0;
  std::array<Measured, 24> decode_{};  // by the binary logarithm of the number of rows
  double seconds_per_prompt_row_ = 0;  // 0: not known
};

}  // namespace moge::infer
