// 200 random requests in 20 random arrangements: tokens, log-probabilities and experts have the
// bits of each request's lone run.
#include <gtest/gtest.h>

#include "moge/infer/test_arrangements.h"
#include "moge/infer/test_engine.h"

namespace moge::infer {
namespace {

TEST(InvarianceSlow, TwoHundredRequestsInTwentyArrangements) {
  constexpr int64_t kContext = 192;
  constexpr size_t kRequests = 200;
  EngineStats sum;
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    TestModel test(dtype);
    const auto requests =
        random_requests(kRequests, /*seed=*/11, test.loaded.model.config.vocab_size, kContext);
    const auto lone = run_arranged(test.loaded, requests, alone(kRequests, kContext), kContext);
    for (uint64_t seed = 0; seed < 10; ++seed) {
      const Arrangement arrangement =
          random_arrangement(kRequests, seed + (dtype == DType::kBF16 ? 100 : 0), kContext);
      const auto run = run_arranged(test.loaded, requests, arrangement, kContext);
      for (size_t i = 0; i < kRequests; ++i)
        ASSERT_EQ(run.answers[i], lone.answers[i])
            << name_of(dtype) << ", request " << i << ", " << arrangement.text();
      sum.preemptions += run.stats.preemptions;
      sum.prefix_hits += run.stats.prefix_hits;
      sum.accepted_tokens += run.stats.accepted_tokens;
    }
  }
  EXPECT_GT(sum.preemptions, 20);
  EXPECT_GT(sum.prefix_hits, 1000);
  EXPECT_GT(sum.accepted_tokens, 100);
}

}  // namespace
}  // namespace moge::infer
