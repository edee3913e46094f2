// Structured output as the engine sees it: masks, ends, copies.
#include <gtest/gtest.h>

#include <algorithm>

#include "moge/core/error.h"
#include "moge/infer/pending.h"
#include "moge/infer/test_engine.h"

namespace moge::infer {
namespace {

/// Allows exactly one token at each place, then an end token or (without one) nothing.
class Recital final : public TokenConstraint {
 public:
  Recital(std::vector<int32_t> ids, bool finishes) : ids_(std::move(ids)), finishes_(finishes) {}
  void allow(std::span<uint32_t> bitmask) override {
    std::fill(bitmask.begin(), bitmask.end(), 0u);
    if (at_ == ids_.size()) return;
    const auto id = static_cast<size_t>(ids_[at_]);
    bitmask[id / 32] |= 1u << (id % 32);
  }
  void advance(int32_t token) override {
    EXPECT_EQ(token, ids_[at_]);
    ++at_;
  }
  bool finished() const override { return finishes_ && at_ == ids_.size(); }
  std::shared_ptr<TokenConstraint> clone() const override {
    return std::make_shared<Recital>(*this);
  }

 private:
  std::vector<int32_t> ids_;
  bool finishes_;
  size_t at_ = 0;
};

struct Answer {
  std::vector<int32_t> ids;
  FinishEvent finish;
};

Answer recite(TestEngine& test, std::shared_ptr<TokenConstraint> constraint, float temperature) {
  Answer answer;
  answer.finish =
      run_to_end(test.engine, *test.tokenizer,
                 {.prompt = {1, 2, 3},
                  .sampling = {.temperature = temperature, .max_tokens = 20, .ignore_eos = true},
                  .constraint = std::move(constraint)},
                 [&](const TextPiece& piece) {
                   answer.ids.push_back(piece.id);
                   return true;
                 })
          .finish;
  return answer;
}

TEST(Constraint, TheAnswerIsWhatTheMaskAllows) {
  TestEngine test(/*max_sequences=*/2);
  const Recital recital({40, 7, 999, 64}, /*finishes=*/true);
  for (float temperature : {0.0f, 1.0f}) {
    const Answer answer = recite(test, recital.clone(), temperature);
    EXPECT_EQ(answer.ids, (std::vector<int32_t>{40, 7, 999, 64}));
    EXPECT_EQ(answer.finish.reason, FinishReason::kStop);
  }
}

TEST(Constraint, AnEndTokenEndsTheAnswerEvenWhenEosIsToBeIgnored) {
  TestEngine test(2);
  constexpr int32_t kEos = 0;
  test.loaded.model.config.eos_ids = {kEos};
  const Answer answer =
      recite(test, std::make_shared<Recital>(std::vector<int32_t>{40, 7, kEos}, false), 0);
  EXPECT_EQ(answer.ids, (std::vector<int32_t>{40, 7}));
  EXPECT_EQ(answer.finish.reason, FinishReason::kStop);
  EXPECT_EQ(answer.finish.stop.id, kEos);
}

TEST(Constraint, AMaskWithoutATokenFailsThatRequestAlone) {
  TestEngine test(2);
  std::vector<int32_t> others;
  PendingRequests pending(test.engine, *test.tokenizer);
  TextEnd other;
  pending.submit(
      {.prompt = {5}, .sampling = {.max_tokens = 30, .ignore_eos = true}},
      [](const TextPiece&) { return true; }, [&](TextEnd end) { other = std::move(end); });
  EXPECT_THROW(
      recite(test, std::make_shared<Recital>(std::vector<int32_t>{40}, /*finishes=*/false), 0),
      Error);
  pending.wait_for(1);
  EXPECT_EQ(other.finish.reason, FinishReason::kLength);
  EXPECT_EQ(other.finish.output_tokens, 30);
}

}  // namespace
}  // namespace moge::infer
