// A request's answer has the same bits whatever it meets: a short form; the long one is slow.
#include <gtest/gtest.h>

#include "moge/infer/test_arrangements.h"
#include "moge/infer/test_engine.h"

namespace moge::infer {
namespace {

TEST(Invariance, AnAnswerHasTheSameBitsInAnyArrangement) {
  constexpr int64_t kContext = 96;
  constexpr size_t kRequests = 16;
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    TestModel test(dtype);
    auto requests =
        random_requests(kRequests - 4, /*seed=*/3, test.loaded.model.config.vocab_size, kContext);
    for (int32_t i = 0; i < 4; ++i)  // they outgrow the pages they come in with
      requests.push_back({.prompt = {i, 2, 3}, .sampling = {.max_tokens = 60, .num_logprobs = 1}});
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
