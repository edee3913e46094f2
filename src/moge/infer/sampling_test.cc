#include "moge/infer/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "moge/core/error.h"

namespace moge::infer {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

Sample sample(std::vector<float> logits, const SamplingParams& params,
              std::vector<int32_t> history = {0}, int64_t prompt_tokens = 1,
              std::vector<int32_t> banned = {}, std::vector<uint32_t> allowed = {}) {
  Sampler sampler(static_cast<int64_t>(logits.size()));
  Sample result;
  sampler.sample(logits, params, history, prompt_tokens, banned, allowed, result);
  return result;
}

/// Shares of the tokens drawn over many indices of one seed.
std::map<int32_t, double> shares(const std::vector<float>& logits, const SamplingParams& params) {
  Sampler sampler(static_cast<int64_t>(logits.size()));
  std::map<int32_t, double> share;
  std::vector<int32_t> history = {0};
  constexpr int kDraws = 4000;
  for (int i = 0; i < kDraws; ++i) {
    std::vector<float> row = logits;
    Sample result;
    sampler.sample(row, params, history, 1, {}, {}, result);
    share[result.id] += 1.0 / kDraws;
    history.push_back(0);
  }
  return share;
}

TEST(Sampler, GreedyTakesTheLargestLogitAndTheLowestIdOfEquals) {
  EXPECT_EQ(sample({0, 3, 1, 3}, {}).id, 1);
  EXPECT_EQ(sample({0, 3, 1, 3}, {}, {0}, 1, {1}).id, 3);
}

TEST(Sampler, FindsTheLikeliestInRowsOfAnyLength) {
  Rng rng(1, "rows");
  for (const size_t size : {1u, 15u, 16u, 17u, 63u, 64u, 65u, 200u, 1000u})
    for (int turn = 0; turn < 20; ++turn) {
      std::vector<float> row(size);
      for (float& x : row) x = static_cast<float>(rng.below(20)) - 30;  // with equals
      const auto first = std::max_element(row.begin(), row.end()) - row.begin();
      EXPECT_EQ(sample(row, {}).id, first) << size;
      const SamplingParams cold{.temperature = 0.01f, .top_k = 1};
      EXPECT_EQ(sample(row, cold).id, first) << size;
      row[rng.below(size)] = std::numeric_limits<float>::quiet_NaN();
      if (size > 1) {
        EXPECT_FALSE(std::isnan(row[static_cast<size_t>(sample(row, {}).id)])) << size;
      }
    }
  EXPECT_THROW(sample({NAN, NAN}, {}), Error);
  EXPECT_THROW(sample({NAN, NAN}, {.temperature = 1}), Error);
}

TEST(Sampler, WordsOfAMaskRuleOutAnyPartOfARow) {
  Rng rng(2, "masks");
  for (const size_t size : {1u, 31u, 32u, 33u, 100u})
    for (int turn = 0; turn < 50; ++turn) {
      std::vector<uint32_t> mask((size + 31) / 32);
      for (uint32_t& word : mask) word = static_cast<uint32_t>(rng.below(uint64_t{1} << 32));
      if (turn % 3 == 0) mask[rng.below(mask.size())] = turn % 2 == 0 ? 0u : ~0u;
      std::vector<float> row(size);
      int32_t best = -1;
      for (size_t id = 0; id < size; ++id) {
        row[id] = static_cast<float>(rng.below(1000));
        const bool allowed = (mask[id / 32] >> (id % 32) & 1) != 0;
        if (allowed && (best < 0 || row[id] > row[static_cast<size_t>(best)]))
          best = static_cast<int32_t>(id);
      }
      if (best < 0) {
        EXPECT_THROW(sample(row, {}, {0}, 1, {}, mask), Error);
      } else {
        EXPECT_EQ(sample(row, {}, {0}, 1, {}, mask).id, best) << size;
      }
    }
}

TEST(Sampler, AMaskRulesOutWhatItDoesNotAllow) {
  EXPECT_EQ(sample({0, 3, 1, 2}, {}, {0}, 1, {}, {0b1101u}).id, 3);
  EXPECT_EQ(sample({0, 3, 1, 2}, {}, {0}, 1, {3}, {0b1101u}).id, 2);
  EXPECT_EQ(sample({0, 3, 1, 2}, {}, {0}, 1, {3, 3}, {0b1000u}).id, 3);  // nothing else is allowed
  EXPECT_THROW(sample({0, 3, 1, 2}, {}, {0}, 1, {}, {0u}), Error);
  std::vector<float> logits(40, 1.0f);
  for (uint64_t seed = 0; seed < 50; ++seed)
    EXPECT_EQ(sample(logits, {.temperature = 1, .seed = seed}, {0}, 1, {}, {0u, 0b10u}).id, 33);
}

TEST(Sampler, DrawsFollowTheSoftmax) {
  const std::vector<float> logits = {std::log(1.0f), std::log(2.0f), std::log(5.0f)};
  const auto share = shares(logits, {.temperature = 1.0f, .seed = 7});
  EXPECT_NEAR(share.at(0), 0.125, 0.02);
  EXPECT_NEAR(share.at(1), 0.25, 0.03);
  EXPECT_NEAR(share.at(2), 0.625, 0.03);
}

TEST(Sampler, FiltersKeepWhatTheyPromise) {
  const std::vector<float> logits = {std::log(1.0f), std::log(2.0f), std::log(3.0f),
                                     std::log(4.0f)};
  EXPECT_EQ(shares(logits, {.temperature = 1, .top_k = 2}).size(), 2u);
  EXPECT_EQ(shares(logits, {.temperature = 1, .top_p = 0.39f}).size(), 1u);
  EXPECT_EQ(shares(logits, {.temperature = 1, .top_p = 0.41f}).size(), 2u);
  EXPECT_EQ(shares(logits, {.temperature = 1, .min_p = 0.6f}).size(), 2u);
  EXPECT_EQ(shares(logits, {.temperature = 1}).size(), 4u);
}

TEST(Sampler, TypicalKeepsTheTokensWhoseSurpriseIsNearestToTheEntropy) {
  // Shares 0.1, 0.2, 0.3, 0.4: entropy 1.280, surprises 2.303, 1.609, 1.204, 0.916, so the order of
  // distance is token 2 (0.076), 1 (0.330), 3 (0.364), 0 (1.023).
  const std::vector<float> logits = {std::log(1.0f), std::log(2.0f), std::log(3.0f),
                                     std::log(4.0f)};
  const auto kept = [&](SamplingParams params) {
    params.temperature = 1;
    std::vector<int32_t> ids;
    for (const auto& [id, share] : shares(logits, params)) ids.push_back(id);
    return ids;
  };
  EXPECT_EQ(kept({.typical_p = 0.29f}), (std::vector<int32_t>{2}));
  EXPECT_EQ(kept({.typical_p = 0.49f}), (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(kept({.typical_p = 0.89f}), (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(kept({.typical_p = 1.0f}), (std::vector<int32_t>{0, 1, 2, 3}));
  EXPECT_EQ(kept({.min_p = 0.7f, .typical_p = 0.49f}), (std::vector<int32_t>{2}));
  EXPECT_NEAR(shares(logits, {.temperature = 1, .typical_p = 0.49f}).at(2), 0.6, 0.03);
}

TEST(Sampler, TypicalNeverChoosesABannedToken) {
  for (int32_t length = 1; length < 40; ++length)
    EXPECT_EQ(sample({5, 0, 0}, {.temperature = 1, .typical_p = 0.9f},
                     std::vector<int32_t>(static_cast<size_t>(length), 0), 1, {0, 2})
                  .id,
              1);
}

/// What top_p keeps of a large vocabulary is what a full sort would keep.
TEST(Sampler, TopPTakesTheLikeliestOfALargeVocabulary) {
  Rng rng(1, "logits");
  std::vector<float> logits(3000);
  for (float& x : logits) x = 2 * rng.normal();
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  const double lse = log_sum_exp(logits);
  for (float top_p : {0.05f, 0.5f, 0.9f, 0.999f}) {
    std::set<int32_t> kept;
    double mass = 0;
    for (size_t i = 0; mass < top_p; ++i) {
      kept.insert(static_cast<int32_t>(order[i]));
      mass += std::exp(logits[order[i]] - lse);
    }
    std::set<int32_t> drawn;
    for (uint64_t seed = 0; seed < 100; ++seed)
      drawn.insert(sample(logits, {.temperature = 1, .top_p = top_p, .seed = seed}).id);
    for (int32_t id : drawn) EXPECT_TRUE(kept.count(id)) << top_p << ": " << id;
    EXPECT_TRUE(drawn.count(static_cast<int32_t>(order[0])) || top_p > 0.5f);
  }
}

TEST(Sampler, ADrawIsAFunctionOfSeedAndIndexOnly) {
  const std::vector<float> logits(50, 0.0f);
  const SamplingParams params{.temperature = 1, .seed = 3};
  for (int64_t index = 0; index < 20; ++index) {
    const std::vector<int32_t> history(static_cast<size_t>(1 + index), 0);
    EXPECT_EQ(sample(logits, params, history).id, sample(logits, params, history).id);
  }
  EXPECT_NE(shares(logits, {.temperature = 1, .seed = 3}),
            shares(logits, {.temperature = 1, .seed = 4}));
}

TEST(Sampler, PenaltiesAndBiasesMoveTheChoice) {
  EXPECT_EQ(sample({2, 1.5f}, {.repetition_penalty = 2.0f}, {0}).id, 1);
  EXPECT_EQ(sample({-1, -1.5f}, {.repetition_penalty = 2.0f}, {0}).id, 1);
  EXPECT_EQ(sample({2, 1.5f}, {.presence_penalty = 1.0f}, {0}, 1).id, 0);     // prompt only
  EXPECT_EQ(sample({2, 1.5f}, {.presence_penalty = 1.0f}, {1, 0}, 1).id, 1);  // in the output
  EXPECT_EQ(sample({2, 1.0f}, {.frequency_penalty = 0.4f}, {1, 0, 0, 0}, 1).id, 1);
  EXPECT_EQ(sample({2, 1.0f}, {.logit_bias = {{1, 5.0f}}}).id, 1);
}

TEST(Sampler, ReportedLogprobsAreTheModelsOwn) {
  const Sample result = sample(
      {0, std::log(3.0f)}, {.temperature = 0.5f, .logit_bias = {{0, 50.0f}}, .num_logprobs = 2});
  EXPECT_EQ(result.id, 0);
  EXPECT_NEAR(result.logprob, std::log(0.25f), 1e-6);
  ASSERT_EQ(result.top.size(), 2u);
  EXPECT_EQ(result.top[0].id, 1);
  EXPECT_NEAR(result.top[0].logprob, std::log(0.75f), 1e-6);
}

TEST(Sampler, LeavesNoTraceOfACallInTheNext) {
  Sampler sampler(3);
  Sample first, second;
  std::vector<float> row = {1, 1, 1};
  sampler.sample(row, {.repetition_penalty = 3, .frequency_penalty = 2}, std::vector{0, 1, 1}, 1,
                 {}, {}, first);
  row = {1, 0.9f, 0.8f};
  sampler.sample(row, {.frequency_penalty = 2}, std::vector{2, 2}, 1, {}, {}, second);
  EXPECT_EQ(second.id, 0);
}

TEST(SamplingParams, EveryWrongValueIsRefusedByName) {
  const auto message = [](const SamplingParams& params) -> std::string {
    try {
      params.validate(100);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message({}), "");
  EXPECT_NE(message({.temperature = -1}).find("temperature"), std::string::npos);
  EXPECT_NE(message({.temperature = kInf}).find("temperature"), std::string::npos);
  EXPECT_NE(message({.top_k = -2}).find("top_k"), std::string::npos);
  EXPECT_NE(message({.top_p = 0}).find("top_p"), std::string::npos);
  EXPECT_NE(message({.top_p = std::nanf("")}).find("top_p"), std::string::npos);
  EXPECT_NE(message({.min_p = 2}).find("min_p"), std::string::npos);
  EXPECT_NE(message({.typical_p = 0}).find("typical_p"), std::string::npos);
  EXPECT_NE(message({.typical_p = 1.5f}).find("typical_p"), std::string::npos);
  EXPECT_NE(message({.repetition_penalty = 0}).find("repetition_penalty"), std::string::npos);
  EXPECT_NE(message({.presence_penalty = 3}).find("presence_penalty"), std::string::npos);
  EXPECT_NE(message({.frequency_penalty = -3}).find("frequency_penalty"), std::string::npos);
  EXPECT_NE(message({.logit_bias = {{100, 1.0f}}}).find("100"), std::string::npos);
  EXPECT_NE(message({.logit_bias = {{1, 101.0f}}}).find("101"), std::string::npos);
  EXPECT_NE(message({.max_tokens = -1}).find("max_tokens"), std::string::npos);
  EXPECT_NE(message({.max_tokens = 2, .min_tokens = 3}).find("min_tokens"), std::string::npos);
  EXPECT_NE(message({.num_logprobs = 101}).find("logprobs"), std::string::npos);
  EXPECT_NE(message({.stop_ids = {-1}}).find("stop_token_ids"), std::string::npos);
}

}  // namespace
}  // namespace moge::infer
