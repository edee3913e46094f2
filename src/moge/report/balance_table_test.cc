// The fact sheet's tables of section 3, simulated again: top-8 of 64 experts, uniformly drawn.
#include <gtest/gtest.h>

#include <array>

#include "moge/core/rng.h"
#include "moge/report/balance.h"

namespace moge::report {
namespace {

constexpr size_t kExperts = 64, kGroups = 8, kChosen = 8;
using Rows = std::array<int64_t, kExperts>;

Rows plain_batch(Rng& rng, int tokens) {
  Rows rows{};
  for (int t = 0; t < tokens; ++t) {
    uint64_t taken = 0;
    for (size_t k = 0; k < kChosen;) {
      const uint64_t e = rng.bits() >> 58;
      if (taken >> e & 1) continue;
      taken |= uint64_t{1} << e;
      ++rows[e];
      ++k;
    }
  }
  return rows;
}

Rows grouped_batch(Rng& rng, int tokens) {
  Rows rows{};
  for (int t = 0; t < tokens; ++t)
    for (size_t g = 0; g < kGroups; ++g) ++rows[g * 8 + (rng.bits() >> 61)];
  return rows;
}

struct Means {
  double score = 0, above_zero = 0, straggler = 0;
};

template <class Batch>
Means simulate(Batch batch, int tokens, int64_t devices, int batches) {
  Rng rng(7, "tables of section 3");
  Means means;
  for (int i = 0; i < batches; ++i) {
    const Rows rows = batch(rng, tokens);
    const DeviceBalance b = device_balance(rows, tokens, devices);
    means.score += b.imbalance_score / batches;
    means.above_zero += (b.imbalance_score > 0 ? 1.0 : 0.0) / batches;
    means.straggler += b.max_over_mean / batches;
  }
  return means;
}

TEST(BalanceTable, ScoreOfPlainTopKByBatchSize) {
  const struct {
    int tokens, batches;
    double score, tolerance;
  } rows[] = {{1, 4000, 2.459, 0.03},  {2, 3000, 1.833, 0.03},  {4, 2000, 1.320, 0.03},
              {8, 1500, 0.939, 0.025}, {16, 1000, 0.667, 0.02}, {64, 300, 0.335, 0.02},
              {128, 200, 0.238, 0.02}, {512, 100, 0.119, 0.012}};
  for (const auto& row : rows) {
    const Means means = simulate(plain_batch, row.tokens, 8, row.batches);
    EXPECT_NEAR(means.score, row.score, row.tolerance) << row.tokens << " tokens";
    EXPECT_GT(means.above_zero, 0.99) << row.tokens << " tokens";
  }
  EXPECT_NEAR(simulate(plain_batch, 1, 8, 4000).above_zero, 0.9962, 0.003);
}

TEST(BalanceTable, StragglerFactorByDevices) {
  const struct {
    int64_t devices;
    double tokens_16, tokens_80, tokens_512, grouped_16;
  } rows[] = {
      {4, 1.17, 1.08, 1.03, 1.00}, {8, 1.35, 1.15, 1.06, 1.00}, {16, 1.63, 1.27, 1.11, 1.44}};
  for (const auto& row : rows) {
    EXPECT_NEAR(simulate(plain_batch, 16, row.devices, 500).straggler, row.tokens_16, 0.03);
    EXPECT_NEAR(simulate(plain_batch, 80, row.devices, 150).straggler, row.tokens_80, 0.02);
    EXPECT_NEAR(simulate(plain_batch, 512, row.devices, 50).straggler, row.tokens_512, 0.02);
    EXPECT_NEAR(simulate(grouped_batch, 16, row.devices, 500).straggler, row.grouped_16, 0.03);
  }
}

TEST(BalanceTable, GroupedChoiceIsEvenOnWholeGroupsOnly) {
  for (int64_t devices : {2, 4, 8})
    EXPECT_EQ(simulate(grouped_batch, 16, devices, 200).score, 0.0) << devices;
  EXPECT_GT(simulate(grouped_batch, 16, 16, 200).score, 0.3);  // half a group each
}

}  // namespace
}  // namespace moge::report
