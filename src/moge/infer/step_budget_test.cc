#include "moge/infer/step_budget.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace moge::infer {
namespace {

/// A machine whose steps cost so much.
double seconds_of(int64_t decode_rows, int64_t prompt_rows) {
  return (decode_rows > 0 ? 0.040 + 0.001 * static_cast<double>(decode_rows) : 0) +
         0.002 * static_cast<double>(prompt_rows);
}

TEST(StepBudget, WithoutStreamsAPromptTakesTheWholeStep) {
  EXPECT_EQ(StepBudget(512).prompt_rows(0, 1), 512);
}

TEST(StepBudget, BesideStreamsAPromptIsCutAndNotStarved) {
  StepBudget budget(512);
  budget.note(0, 512, seconds_of(0, 512));
  EXPECT_EQ(budget.prompt_rows(8, 1), 0);  // their own time is not known yet
  double worst = 0;
  int64_t prompt = 0, steps = 0;
  for (; prompt < 4096; ++steps) {
    const int64_t rows = budget.prompt_rows(8, 1);
    const double seconds = seconds_of(8, rows);
    budget.note(8, rows, seconds);
    prompt += rows;
    if (steps > 8) worst = std::max(worst, seconds);
  }
  EXPECT_LE(worst, 2 * seconds_of(8, 0));
  const double total = static_cast<double>(steps) * StepBudget::kStretch * seconds_of(8, 0);
  EXPECT_LE(total, 4 * seconds_of(0, 4096));
}

TEST(StepBudget, MeasuresTheStreamsAloneNowAndThen) {
  StepBudget budget(512);
  budget.note(8, 0, seconds_of(8, 0));
  int alone = 0;
  for (int step = 0; step < 200; ++step) {
    const int64_t rows = budget.prompt_rows(8, 1);
    alone += rows == 0;
    budget.note(8, rows, seconds_of(8, rows));
  }
  EXPECT_GE(alone, 2);
  EXPECT_LE(alone, 4);
}

TEST(StepBudget, ACrowdOfPromptsIsNotHeldUpByAFewStreams) {
  StepBudget budget(4096);
  budget.note(0, 512, seconds_of(0, 512));
  budget.note(8, 0, seconds_of(8, 0));
  const int64_t one = budget.prompt_rows(8, 1);
  EXPECT_EQ(budget.prompt_rows(8, 8), one);
  EXPECT_NEAR(static_cast<double>(budget.prompt_rows(8, 56)), 7.0 * static_cast<double>(one), 7);
  EXPECT_EQ(budget.prompt_rows(8, 100000), 4096);
}

TEST(StepBudget, ASlowPromptStillGetsTheLeast) {
  StepBudget budget(512);
  budget.note(4, 0, 0.001);
  for (int step = 0; step < 20; ++step) budget.note(4, 16, 1.0);
  EXPECT_EQ(budget.prompt_rows(4, 1), StepBudget::kLeast);
  StepBudget small(4);
  small.note(4, 0, 0.001);
  EXPECT_LE(small.prompt_rows(4, 1), 4);
}

}  // namespace
}  // namespace moge::infer
