// A request's answer has the same bits whatever it meets: a short form; the long one is slow.
#include <gtest/gtest.h>

#include "moge/infer/test_arrangements.h"
#include "moge/infer/test_engine.h"

namespace moge::infer {
namespace {

TEST(Invariance, AnAnswerHasTheSameBitsInAnyArrangement) {
  constexpr int64_t kContext = 96;
  constexpr size_t kRequests = 12;
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    TestModel test(dtype);
    const auto requests =
        random_requests(kRequests, /*seed=*/3, test.loaded.model.config.vocab_size, kContext);
    const auto lone = run_arranged(test.loaded, requests, alone(kRequests, kContext), kContext);
    int64_t preemptions = 0, hits = 0, accepted = 0;
    for (uint64_t seed = 0; seed < 3; ++seed) {
      Arrangement arrangement = random_arrangement(kRequests, seed, kContext);
      if (seed == 0) {  // hard on purpose: everybody at once, hardly any pages
        arrangement.max_num_seqs = 8;
        arrangement.max_num_batched_tokens = 40;
        arrangement.page_tokens = 16;
        arrangement.num_pages = 6;
        arrangement.in_flight = kRequests;
        arrangement.prefix_caching = true;
        arrangement.num_speculative_tokens = 3;
      }
      const auto run = run_arranged(test.loaded, requests, arrangement, kContext);
      for (size_t i = 0; i < kRequests; ++i)
        EXPECT_EQ(run.answers[i], lone.answers[i])
            << name_of(dtype) << ", request " << i << ", " << arrangement.text();
      preemptions += run.stats.preemptions;
      hits += run.stats.prefix_hits;
      accepted += run.stats.accepted_tokens;
    }
    // What was to be tested has happened.
    EXPECT_GT(preemptions, 0);
    EXPECT_GT(hits, 0);
    EXPECT_GT(accepted, 0);
    for (const Answer& answer : lone.answers) EXPECT_EQ(answer.error, "");
  }
}

}  // namespace
}  // namespace moge::infer
