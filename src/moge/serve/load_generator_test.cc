#include "moge/serve/load_generator.h"

#include <cmath>

#include "moge/core/error.h"
#include "moge/serve/test_server.h"

namespace moge::serve {
namespace {

TEST(LoadGenerator, ArrivesAtTheRate) {
  const auto times = arrival_times(4000, {.rate = 20, .seed = 3});
  EXPECT_NEAR(times.back(), 200, 15);  // 3 standard deviations of a sum of 4,000 gaps: 9.5
  const auto even = arrival_times(1000, {.rate = 20, .burstiness = 1000, .seed = 3});
  for (size_t i = 1; i < even.size(); ++i) EXPECT_NEAR(even[i] - even[i - 1], 0.05, 0.01);
  EXPECT_EQ(arrival_times(3, {}), std::vector<double>(3, 0.0));
  const auto ramp = arrival_times(
      1000, {.burstiness = 1000, .ramp = "linear", .start_rate = 1, .end_rate = 100, .seed = 3});
  EXPECT_NEAR(ramp[1] - ramp[0], 1, 0.2);
  EXPECT_NEAR(ramp[999] - ramp[998], 0.01, 0.002);
}

TEST(LoadGenerator, ReportsUnderKnownKeys) {
  std::vector<LoadItem> items(2);
  items[0] = {.input_tokens = 7,
              .ok = true,
              .began = 1,
              .first_token = 1.5,
              .ended = 2.5,
              .output_tokens = 3,
              .gaps = {0.25, 0.75}};
  const auto report = load_report(items, 2, {50, 99.9});
  EXPECT_EQ(report["completed"], 1);
  EXPECT_EQ(report["failed"], 1);
  EXPECT_DOUBLE_EQ(report["output_throughput"], 1.5);
  EXPECT_DOUBLE_EQ(report["total_token_throughput"], 5);
  EXPECT_DOUBLE_EQ(report["mean_ttft_ms"], 500);
  EXPECT_DOUBLE_EQ(report["median_tpot_ms"], 500);
  EXPECT_DOUBLE_EQ(report["p50_itl_ms"], 500);
  EXPECT_NEAR(report["p99.9_itl_ms"], 749.5, 1e-9);
  EXPECT_DOUBLE_EQ(report["std_itl_ms"], 250);
  EXPECT_DOUBLE_EQ(report["mean_e2el_ms"], 1500);
}

TEST(LoadGenerator, ReadsUrls) {
  EXPECT_EQ(parse_url("http://localhost:81/v1").host, "localhost");
  EXPECT_EQ(parse_url("http://localhost:81/v1").port, 81);
  EXPECT_EQ(parse_url("http://a").port, 80);
  for (const char* wrong : {"https://a", "a:1", "http://", "http://a:b", "http://a:"})
    EXPECT_THROW(parse_url(wrong), Error) << wrong;
}

TEST_F(Server, AnswersALoadOfRequests) {
  LoadTarget target = parse_url("http://127.0.0.1:" + std::to_string(server_->port()));
  target.max_concurrency = 3;
  std::vector<LoadItem> items(9);
  for (LoadItem& item : items)
    item.body = R"({"prompt":"abc","max_tokens":5,"ignore_eos":true,"stream":true,)"
                R"("stream_options":{"include_usage":true}})";
  items[4].body = "{}";
  int64_t done = 0;
  const double seconds = run_load(target, items, [&](int64_t n) { done = n; });
  EXPECT_EQ(done, 9);
  const auto report = load_report(items, seconds, {99});
  EXPECT_EQ(report["completed"], 8);
  EXPECT_EQ(report["total_output_tokens"], 8 * 5);
  EXPECT_EQ(report["total_input_tokens"], 8 * 3);
  EXPECT_NE(items[4].error.find("400"), std::string::npos);
  EXPECT_EQ(items[0].gaps.size(), 4u);
  EXPECT_GE(items[0].first_token, items[0].began);
}

}  // namespace
}  // namespace moge::serve
