#include "moge/report/balance.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "moge/core/rng.h"

namespace moge::report {
namespace {

TEST(Balance, OfAHandMadeCountIsWhatEquationThreeGives) {
  const std::vector<int64_t> rows = {4, 0, 1, 1, 2, 0, 0, 8};
  const DeviceBalance two = device_balance(rows, /*tokens=*/8, 2);  // 6 and 10 rows
  EXPECT_DOUBLE_EQ(two.imbalance_score, 0.5);
  EXPECT_DOUBLE_EQ(two.max_over_mean, 1.25);
  const DeviceBalance four = device_balance(rows, 8, 4);  // 4, 2, 2, 8
  EXPECT_DOUBLE_EQ(four.imbalance_score, 0.75);
  EXPECT_DOUBLE_EQ(four.max_over_mean, 2.0);
  const ExpertBalance experts = expert_balance(rows);
  EXPECT_EQ(experts.distinct, 5);
  EXPECT_EQ(experts.dead, 3);
  EXPECT_DOUBLE_EQ(experts.busiest_share, 0.5);
}

// vLLM issue 39178 took the mean over the wrong axis: two layers that are unbalanced in opposite
// directions must not cancel.
TEST(Balance, LayersAreJudgedOneByOne) {
  const std::vector<int64_t> rows = {8, 0, 0, 8};
  const BalanceReport report = make_report({.num_experts = 2,
                                            .tokens = 8,
                                            .moe_layers = {0, 1},
                                            .routed_LE = rows,
                                            .plain_topk_LE = rows});
  ASSERT_EQ(report.by_devices.size(), 1u);
  EXPECT_DOUBLE_EQ(report.by_devices[0].imbalance_score, 1.0);
  EXPECT_DOUBLE_EQ(report.by_devices[0].max_over_mean, 2.0);
}

/// Rows per expert when each of `tokens` picks `per_group` distinct experts in every group.
std::vector<int64_t> grouped_choice(Rng& rng, int64_t E, int64_t G, int64_t per_group,
                                    int64_t tokens) {
  std::vector<int64_t> rows(static_cast<size_t>(E), 0);
  const int64_t size = E / G;
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t g = 0; g < G; ++g) {
      const auto first = static_cast<int64_t>(rng.below(static_cast<uint64_t>(size)));
      for (int64_t k = 0; k < per_group; ++k)
        ++rows[static_cast<size_t>(g * size + (first + k) % size)];
    }
  return rows;
}

TEST(Balance, WholeGroupsScoreZeroAndHalfGroupsSayWhatTheyAre) {
  Rng rng(5, "balance");
  for (int64_t tokens : {1, 3, 16, 500}) {
    const auto rows = grouped_choice(rng, 64, 4, 2, tokens);
    const BalanceReport report = make_report({.num_experts = 64,
                                              .num_groups = 4,
                                              .tokens = tokens,
                                              .moe_layers = {0},
                                              .routed_LE = rows,
                                              .plain_topk_LE = rows});
    ASSERT_EQ(report.by_devices.size(), 3u);
    for (int i : {0, 1}) {
      EXPECT_EQ(report.by_devices[i].imbalance_score, 0.0);
      EXPECT_TRUE(report.by_devices[i].whole_groups);
    }
    EXPECT_FALSE(report.by_devices[2].whole_groups);  // 8 devices, 4 groups
    EXPECT_NE(one_line(report).find("half groups"), std::string::npos);
    EXPECT_TRUE(to_json(report)["devices"]["8"]["half_groups"].get<bool>());
  }
}

// The fact sheet's table of Figure 2(b): mean score 0.667 at 16 tokens for plain top-8 of 64.
TEST(Balance, PlainTopKScoresWhatTheReferenceSimulationGives) {
  Rng rng(11, "figure 2b");
  double sum = 0;
  constexpr int kBatches = 3000;
  for (int b = 0; b < kBatches; ++b) {
    std::vector<int64_t> rows(64, 0);
    for (int t = 0; t < 16; ++t) {
      std::vector<bool> taken(64, false);
      for (int k = 0; k < 8;) {
        const auto e = static_cast<size_t>(rng.below(64));
        if (taken[e]) continue;
        taken[e] = true;
        ++rows[e];
        ++k;
      }
    }
    sum += device_balance(rows, 16, 8).imbalance_score;
  }
  EXPECT_NEAR(sum / kBatches, 0.667, 0.015);
}

TEST(Balance, NoTokensAndNoExpertsAreNoDivisionByZero) {
  const std::vector<int64_t> none(8, 0);
  EXPECT_EQ(device_balance(none, 0, 4).imbalance_score, 0.0);
  EXPECT_EQ(expert_balance(none).dead, 8);
  EXPECT_TRUE(make_report({}).by_devices.empty());
}

}  // namespace
}  // namespace moge::report
