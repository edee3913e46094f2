#include "moge/infer/step_budget.h"

#include <algorithm>
#include <bit>

namespace moge::infer {

namespace {

constexpr int64_t kMeasureEvery = 64;  // mixed steps

void blend(double& value, double seen, bool first) {
  constexpr double kWeight = 0.25;
  value = first ? seen : value + kWeight * (seen - value);
}

}  // namespace

size_t StepBudget::class_of(int64_t decode_rows) {
  return static_cast<size_t>(std::bit_width(static_cast<uint64_t>(decode_rows))) % 24;
}

int64_t StepBudget::prompt_rows(int64_t decode_rows, int64_t prompts) const {
  if (decode_rows == 0) return most_rows_;
  const Measured& alone = decode_[class_of(decode_rows)];
  if (alone.at_step < 0 || step_ - alone.at_step > kMeasureEvery) return 0;
  if (seconds_per_prompt_row_ == 0) return std::min(kLeast, most_rows_);
  const double crowd =
      std::max(1.0, static_cast<double>(prompts) / static_cast<double>(decode_rows));
  const double rows = (kStretch - 1) * crowd * alone.seconds / seconds_per_prompt_row_;
  const double most = static_cast<double>(most_rows_);
  return std::min(most_rows_, std::max(kLeast, static_cast<int64_t>(std::min(rows, most))));
}

void StepBudget::note(int64_t decode_rows, int64_t prompt_rows, double seconds) {
  ++step_;
  Measured& alone = decode_[class_of(decode_rows)];
  if (prompt_rows == 0) {
    blend(alone.seconds, seconds, alone.at_step < 0);
    alone.at_step = step_;
    return;
  }
  // Rows of a step without decoding are cheaper (large products): they only start the estimate.
  const bool known = seconds_per_prompt_row_ > 0;
  const double spent = decode_rows > 0 ? std::max(0.0, seconds - alone.seconds) : seconds;
  if (decode_rows > 0 ? alone.at_step >= 0 : !known)
    blend(seconds_per_prompt_row_, spent / static_cast<double>(prompt_rows), !known);
}

}  // namespace moge::infer
