#include "moge/report/balance_svg.h"

#include <gtest/gtest.h>

#include "moge/core/error.h"

namespace moge::report {
namespace {

int64_t count(const std::string& text, std::string_view part) {
  int64_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

const std::vector<int64_t> kRouted = {3, 1, 2, 2, 0, 4, 4, 0};  // 2 layers, 4 experts, 4 tokens
const std::vector<int64_t> kPlain = {4, 4, 0, 0, 2, 2, 2, 2};

BalanceInput two_layers() {
  return {.num_experts = 4,
          .num_groups = 2,
          .tokens = 4,
          .moe_layers = {0, 1},
          .routed_LE = kRouted,
          .plain_topk_LE = kPlain};
}

TEST(BalanceSvg, ShowsEveryExpertEveryGroupBorderAndBothRouters) {
  const std::string svg = balance_svg(two_layers(), 2);
  EXPECT_TRUE(svg.starts_with("<svg xmlns="));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_EQ(count(svg, "<title>layer "), 8);
  EXPECT_EQ(count(svg, "class=\"group\""), 3);
  EXPECT_EQ(count(svg, "<title>device "), 4);
  EXPECT_NE(svg.find("layer 1, expert 1: 4 rows"), std::string::npos);
  // Layer 0 is the one where plain top-K is uneven: 8 rows and none.
  EXPECT_NE(svg.find("Rows by device in layer 0"), std::string::npos);
  EXPECT_NE(svg.find("device 0, plain top-K: 8 rows"), std::string::npos);
  EXPECT_NE(svg.find("device 1, grouped: 4 rows"), std::string::npos);
  EXPECT_NE(svg.find("0.000 grouped, 1.000 plain top-K"), std::string::npos);
}

TEST(BalanceSvg, StandsAlone) {
  const std::string svg = balance_svg(two_layers(), 2);
  for (const char* outside : {"href", "url(", "<script", "@import", "<image"})
    EXPECT_EQ(svg.find(outside), std::string::npos) << outside;
  EXPECT_EQ(count(svg, "http"), 1);  // the name space
}

TEST(BalanceSvg, SaysWhereDevicesHoldHalfGroups) {
  EXPECT_NE(balance_svg(two_layers(), 4).find("(half groups)"), std::string::npos);
  EXPECT_EQ(balance_svg(two_layers(), 2).find("(half groups)"), std::string::npos);
}

TEST(BalanceSvg, AModelWithoutExpertLayersAndABatchWithoutRowsAreDrawn) {
  const std::vector<int64_t> none(4, 0);
  EXPECT_EQ(count(balance_svg({.num_experts = 4}, 2), "<title>"), 0);
  const BalanceInput empty{
      .num_experts = 4, .moe_layers = {0}, .routed_LE = none, .plain_topk_LE = none};
  const std::string svg = balance_svg(empty, 2);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
}

TEST(BalanceSvg, RefusesCountsThatDoNotFit) {
  BalanceInput in = two_layers();
  EXPECT_THROW(balance_svg(in, 3), Error);
  in.num_groups = 3;
  EXPECT_THROW(balance_svg(in, 2), Error);
  in = two_layers();
  in.moe_layers = {2};
  EXPECT_THROW(balance_svg(in, 2), Error);
}

}  // namespace
}  // namespace moge::report
