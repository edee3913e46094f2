#include "moge/infer/pending.h"

#include <gtest/gtest.h>

#include "moge/infer/model_runner.h"
#include "moge/infer/test_engine.h"

namespace moge::infer {
namespace {

Request request_of(int64_t max_tokens) {
  return {.prompt = {1, 2, 3}, .sampling = {.max_tokens = max_tokens, .ignore_eos = true}};
}

TEST(Pending, ARequestRunsToItsEnd) {
  TestEngine test(/*max_sequences=*/2);
  std::string text;
  int64_t pieces = 0;
  const TextEnd end = run_to_end(test.engine, *test.tokenizer, request_of(9), [&](TextPiece piece) {
    text += piece.text;
    ++pieces;
    return true;
  });
  EXPECT_EQ(pieces, 9);
  EXPECT_EQ(end.finish.reason, FinishReason::kLength);
  EXPECT_EQ(end.finish.prompt_tokens, 3);
  EXPECT_EQ(end.finish.output_tokens, 9);
  EXPECT_FALSE((text + end.text).empty());
  EXPECT_GT(end.finish.decode_tok_s(), 0);
}

TEST(Pending, TheCallerEndsIt) {
  TestEngine test(1);
  int64_t pieces = 0;
  const TextEnd end = run_to_end(test.engine, *test.tokenizer, request_of(50),
                                 [&](const TextPiece&) { return ++pieces < 4; });
  EXPECT_EQ(end.finish.reason, FinishReason::kStop);
  EXPECT_EQ(end.finish.output_tokens, 4);
}

TEST(Pending, AWrongRequestThrowsAndLeavesNothingBehind) {
  TestEngine test(1);
  const auto on_piece = [](const TextPiece&) { return true; };
  EXPECT_THROW(run_to_end(test.engine, *test.tokenizer, {}, on_piece), Error);
  EXPECT_THROW(run_to_end(test.engine, *test.tokenizer, request_of(1 << 20), on_piece), Error);
  EXPECT_EQ(test.engine.stats().finished, 0);
}

TEST(Pending, ManyAreWaitedForTogether) {
  TestEngine test(3);
  PendingRequests pending(test.engine, *test.tokenizer);
  int64_t output_tokens = 0;  // on_end runs on one thread; wait_for orders it before the reading
  for (int i = 0; i < 10; ++i)
    pending.submit(
        request_of(i), [](const TextPiece&) { return true; },
        [&](const TextEnd& end) { output_tokens += end.finish.output_tokens; });
  EXPECT_GE(pending.wait_for(4), 4);
  EXPECT_EQ(pending.wait_for(10), 10);
  EXPECT_EQ(output_tokens, 45);
}

TEST(Pending, RatesAreZeroWhereNothingWasTimed) {
  EXPECT_EQ(FinishEvent{}.prompt_tok_s(), 0);
  EXPECT_EQ(FinishEvent{}.decode_tok_s(), 0);
  const FinishEvent event{.prompt_tokens = 10, .output_tokens = 5, .prompt_s = 2, .decode_s = 1};
  EXPECT_EQ(event.prompt_tok_s(), 5);
  EXPECT_EQ(event.decode_tok_s(), 4);  // the first token belongs to the prompt
}

}  // namespace
}  // namespace moge::infer
