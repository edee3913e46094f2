#include "moge/serve/status_log.h"

#include <gtest/gtest.h>

#include "moge/serve/open_files.h"

namespace moge::serve {
namespace {

TEST(StatusLog, TellsRatesOfTheTimeBetween) {
  StatusLog log;
  EXPECT_FALSE(log.line({}, 5));
  const infer::EngineStats busy{.running = 2,
                                .waiting = 1,
                                .pages_used = 5,
                                .pages_total = 10,
                                .prompt_tokens = 100,
                                .output_tokens = 50,
                                .prefix_queries = 100,
                                .prefix_hits = 25};
  const auto line = log.line(busy, 5);
  ASSERT_TRUE(line);
  EXPECT_EQ(*line,
            "Engine 000: Avg prompt throughput: 20.0 tokens/s, Avg generation throughput: 10.0 "
            "tokens/s, Running: 2 reqs, Waiting: 1 reqs, KV cache usage: 50.0%, Prefix cache hit "
            "rate: 25.0%");
  infer::EngineStats idle = busy;
  idle.running = idle.waiting = idle.pages_used = 0;
  EXPECT_TRUE(log.line(idle, 5)) << "that it has become idle is said once";
  EXPECT_FALSE(log.line(idle, 5));
}

TEST(OpenFiles, TheHardLimitHoldsConnections) {
  const int64_t limit = raise_open_file_limit();
  EXPECT_EQ(raise_open_file_limit(), limit);
  EXPECT_LT(connections_for(limit), limit);
  EXPECT_GE(connections_for(0), 1);
}

}  // namespace
}  // namespace moge::serve
