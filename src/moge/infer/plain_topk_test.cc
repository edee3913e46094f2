// What plain top-K would have chosen, beside what the groups chose.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <span>
#include <vector>

#include "moge/infer/test_engine.h"

namespace moge::infer {
namespace {

class PlainTopk : public testing::Test {
 protected:
  /// Experts of the last row after a prompt of three tokens.
  std::span<const int32_t> experts(bool wants_plain) {
    const std::vector<int32_t> ids{1, 2, 3}, pages{0};
    const StepSlice slice{
        .ids = ids, .pages = pages, .wants_logits = true, .wants_plain_topk = wants_plain};
    test_.runner.step(std::span(&slice, 1));
    return test_.runner.experts(2);
  }

  TestEngine test_{/*max_sequences=*/1};
  const size_t layers_ = 4, top_k_ = 4;  // of preset:tiny: 16 experts in 4 groups
};

TEST_F(PlainTopk, IsThereForTheRowsThatWantIt) {
  const auto both = experts(/*wants_plain=*/true);
  ASSERT_EQ(both.size(), 2 * layers_ * top_k_);
  bool differs = false;
  for (size_t layer = 0; layer < layers_; ++layer) {
    const auto routed = both.subspan(layer * top_k_, top_k_);
    const auto plain = both.subspan((layers_ + layer) * top_k_, top_k_);
    const std::set<int32_t> distinct(plain.begin(), plain.end());
    EXPECT_EQ(distinct.size(), top_k_);
    EXPECT_TRUE(*distinct.begin() >= 0 && *distinct.rbegin() < 16);
    // The best expert of all is the best of its group, so both ways take it.
    EXPECT_NE(std::find(routed.begin(), routed.end(), plain[0]), routed.end());
    differs |= distinct != std::set<int32_t>(routed.begin(), routed.end());
  }
  EXPECT_TRUE(differs) << "four layers whose groups hold one of the best four each";
}

TEST_F(PlainTopk, IsAbsentElsewhere) {
  const auto both = experts(/*wants_plain=*/false);
  const auto plain = both.subspan(layers_ * top_k_);
  EXPECT_EQ(std::count(plain.begin(), plain.end(), -1), static_cast<int64_t>(plain.size()));
  EXPECT_EQ(std::count(both.begin(), both.end(), -1), static_cast<int64_t>(plain.size()));
}

}  // namespace
}  // namespace moge::infer
