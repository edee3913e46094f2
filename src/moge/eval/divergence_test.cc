#include "moge/eval/divergence.h"

#include <gtest/gtest.h>

#include <cmath>

namespace moge::eval {
namespace {

TEST(Divergence, IsTheSumOfPTimesTheLogOfPOverQ) {
  const float p[] = {std::log(0.5f), std::log(0.25f), std::log(0.25f)};
  const float q[] = {std::log(0.25f), std::log(0.5f), std::log(0.25f)};
  const Divergence d = divergence(p, q, 3);
  EXPECT_NEAR(d.kl, 0.5 * std::log(2.0) - 0.25 * std::log(2.0), 1e-7);
  EXPECT_EQ(d.same_top, 0);
  const float shifted[] = {p[0] + 3, p[1] + 3, p[2] + 3};
  const Divergence same = divergence(p, shifted, 3);
  EXPECT_NEAR(same.kl, 0.0, 1e-6) << "logits are defined up to a constant";
  EXPECT_EQ(same.same_top, 1);
  Divergence sum = d;
  sum.add(same);
  EXPECT_EQ(sum.tokens, 2);
  EXPECT_DOUBLE_EQ(sum.same_top_share(), 0.5);
  EXPECT_DOUBLE_EQ(Divergence{}.kl_mean(), 0.0);
}

TEST(Divergence, FarLogitsStayFinite) {
  const float p[] = {0.0f, -1000.0f}, q[] = {-1000.0f, 0.0f};
  EXPECT_NEAR(divergence(p, q, 2).kl, 1000.0, 1e-3);
}

}  // namespace
}  // namespace moge::eval
