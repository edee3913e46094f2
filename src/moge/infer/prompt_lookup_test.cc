#include "moge/infer/prompt_lookup.h"

#include <gtest/gtest.h>

#include "moge/core/error.h"

namespace moge::infer {
namespace {

std::vector<int32_t> drafts(std::vector<int32_t> tokens, const SpeculationOptions& options,
                            int64_t most = 64) {
  const auto length = static_cast<ptrdiff_t>(tokens.size());
  look_up_drafts(tokens, options, most);
  return {tokens.begin() + length, tokens.end()};
}

using Ids = std::vector<int32_t>;

TEST(PromptLookup, GuessesWhatFollowedTheLongestEnding) {
  const SpeculationOptions options{.num_speculative_tokens = 2};
  EXPECT_EQ(drafts({1, 2, 3, 4, 9, 2, 3, 5, 1, 2, 3}, options), (Ids{4, 9}));  // 1 2 3 beats 2 3
  EXPECT_EQ(drafts({2, 3, 4, 9, 2, 3, 5, 2, 3}, options), (Ids{5, 2}));        // the later of two
  EXPECT_EQ(drafts({7, 3, 4, 9, 3}, options), Ids{});                          // too short a run
  EXPECT_EQ(drafts({1, 2, 3}, options), Ids{});
  EXPECT_EQ(drafts({1}, options), Ids{});
}

TEST(PromptLookup, KeepsWithinItsLimits) {
  const Ids tokens = {1, 2, 3, 4, 5, 1, 2};
  EXPECT_EQ(drafts(tokens, {.num_speculative_tokens = 3}), (Ids{3, 4, 5}));
  EXPECT_EQ(drafts(tokens, {.num_speculative_tokens = 3}, 1), Ids{3});
  EXPECT_EQ(drafts(tokens, {.num_speculative_tokens = 3}, 0), Ids{});
  EXPECT_EQ(drafts(tokens, {}), Ids{});
  EXPECT_EQ(drafts(tokens, {.num_speculative_tokens = 7}), (Ids{3, 4, 5, 1, 2, 3, 4}));  // goes on
}

TEST(PromptLookup, ReadsTheConfigOfVllm) {
  const auto options = SpeculationOptions::parse(
      R"({"method":"ngram","num_speculative_tokens":5,"prompt_lookup_max":3,"prompt_lookup_min":1})");
  EXPECT_EQ(options.num_speculative_tokens, 5);
  EXPECT_EQ(options.prompt_lookup_max, 3);
  EXPECT_EQ(options.prompt_lookup_min, 1);
  EXPECT_EQ(SpeculationOptions::parse(R"({"prompt_lookup_max":1})").prompt_lookup_min, 1);
  for (const char* wrong :
       {"ngram", "[]", R"({"method":"eagle"})", R"({"num_speculative_tokens":"5"})",
        R"({"num_speculative_tokens":65})", R"({"prompt_lookup_min":9})", R"({"model":"x"})"})
    EXPECT_THROW(SpeculationOptions::parse(wrong), Error) << wrong;
}

}  // namespace
}  // namespace moge::infer
