// The scheduler's decisions, with a model that is only played.
#include "moge/infer/scheduler.h"

#include <gtest/gtest.h>

#include <numeric>

#include "moge/core/rng.h"

namespace moge::infer {
namespace {

constexpr int64_t kPageTokens = 4;

class NoSink final : public Sink {
 public:
  bool on_token(const TokenEvent&) override { return true; }
  void on_finish(const FinishEvent&) override {}
};

struct Play {
  explicit Play(int64_t pages, SchedulerOptions options = {.max_sequences = 4, .max_rows = 16})
      : pool(pages, kPageTokens), scheduler(pool, options) {}

  Sequence* add(int64_t prompt, int64_t output, int64_t priority = 0, int32_t first = -1) {
    Request request{.sampling = {.max_tokens = output}, .priority = priority};
    request.prompt.resize(static_cast<size_t>(prompt));
    // Every prompt is another one unless `first` says otherwise.
    std::iota(request.prompt.begin(), request.prompt.end(), first >= 0 ? first : next_token);
    next_token += 1000;
    auto sequence = std::make_unique<Sequence>(++last_id, std::move(request),
                                               std::make_shared<NoSink>(), pool, 0);
    Sequence* raw = sequence.get();
    scheduler.add(std::move(sequence));
    return raw;
  }
  void plan(int64_t prompt_rows = 16) {
    scheduler.plan([&](int64_t, int64_t) { return prompt_rows; });
  }
  /// Plays the model: everything planned is computed, ends are followed by token 1.
  void compute() {
    for (auto& s : scheduler.running()) {
      EXPECT_LE(s->computed + s->rows, s->pages.capacity());
      s->computed += s->rows;
      if (s->computed < s->length) continue;
      s->append(1);
      if (s->output_tokens() < s->request.sampling.max_tokens) continue;
      finished.push_back(s->id);
      s.reset();
    }
    scheduler.sweep();
  }
  int64_t rows() {
    int64_t sum = 0;
    for (auto& s : scheduler.running()) sum += s->rows;
    return sum;
  }

  PagePool pool;
  Scheduler scheduler;
  RequestId last_id = 0;
  int32_t next_token = 10;
  std::vector<RequestId> finished;
};

TEST(Scheduler, DecodingRowsComeFirstAndPromptsFillTheStep) {
  Play play(/*pages=*/32);
  play.add(3, 9);
  play.plan();
  play.compute();
  Sequence* longer = play.add(30, 4);
  play.plan();
  EXPECT_EQ(play.scheduler.running()[0]->rows, 1);
  EXPECT_EQ(longer->rows, 12);  // 15 are left; a chunk ends a page
  EXPECT_EQ(play.scheduler.counts().decode_rows, 1);
  EXPECT_EQ(play.scheduler.counts().prompt_rows, 12);
  play.compute();
  play.plan(/*prompt_rows=*/5);
  EXPECT_EQ(longer->rows, 4);
  play.compute();
  play.plan(/*prompt_rows=*/0);
  EXPECT_EQ(longer->rows, 0);
  EXPECT_EQ(play.rows(), 1);
}

TEST(Scheduler, AdmitsWhoseRowsFitNotWhoseLongestAnswerFits) {
  Play play(/*pages=*/8);
  play.add(4, 28);
  play.add(4, 28);
  play.plan();
  EXPECT_EQ(play.scheduler.num_running(), 2);
}

TEST(Scheduler, TheNewestGivesWayAndEverybodyEnds) {
  Play play(/*pages=*/8);
  for (int i = 0; i < 4; ++i) play.add(4, 24);
  for (int step = 0; step < 500 && play.finished.size() < 4; ++step) {
    play.plan();
    ASSERT_GT(play.rows(), 0) << step;
    EXPECT_GT(play.scheduler.running().front()->rows, 0);  // the first one always advances
    play.compute();
  }
  EXPECT_EQ(play.finished, (std::vector<RequestId>{1, 2, 3, 4}));
  EXPECT_GT(play.scheduler.counts().preemptions, 0);
  EXPECT_EQ(play.scheduler.counts().waiting_again, 0);
  EXPECT_EQ(play.pool.num_free(), 8);
}

TEST(Scheduler, LowerPriorityNumbersGoFirst) {
  Play play(/*pages=*/32, {.max_sequences = 1, .max_rows = 16});
  play.add(4, 2, /*priority=*/5);
  play.add(4, 2, /*priority=*/0);
  play.add(4, 2, /*priority=*/-1);
  while (play.finished.size() < 3) {
    play.plan();
    play.compute();
  }
  EXPECT_EQ(play.finished, (std::vector<RequestId>{3, 2, 1}));
}

TEST(Scheduler, NobodyOvertakesWhoWaitsForPages) {
  Play play(/*pages=*/8);
  play.add(12, 8);
  Sequence* large = play.add(24, 2);
  Sequence* small = play.add(1, 1);
  play.plan(32);
  EXPECT_EQ(play.scheduler.num_running(), 1);
  EXPECT_EQ(play.scheduler.num_waiting(), 2);
  EXPECT_EQ(large->rows + small->rows, 0);
}

TEST(Scheduler, RequestsOfTheSameStepShareTheirBeginning) {
  Play play(/*pages=*/32, {.max_sequences = 4, .max_rows = 64});
  play.add(13, 4, 0, /*first=*/5);
  play.plan(64);
  play.compute();
  for (int i = 0; i < 3; ++i) play.add(13, 4, 0, 5);
  play.plan(64);
  for (size_t i = 1; i < 4; ++i) {
    EXPECT_EQ(play.scheduler.running()[i]->cached_tokens, 12);
    EXPECT_EQ(play.scheduler.running()[i]->rows, 1);
  }
  EXPECT_EQ(play.scheduler.counts().prefix_queries, 4 * 13);
  EXPECT_EQ(play.scheduler.counts().prefix_hits, 3 * 12);
  EXPECT_EQ(play.pool.num_used(), 3 + 4);

  Play together(/*pages=*/32, {.max_sequences = 4, .max_rows = 64});
  for (int i = 0; i < 4; ++i) together.add(13, 4, 0, 5);
  together.plan(64);
  EXPECT_EQ(together.rows(), 13 + 3);
}

TEST(Scheduler, AFullHitStillComputesTheLastToken) {
  Play play(/*pages=*/32);
  play.add(12, 1, 0, 5);
  play.plan();
  play.compute();
  Sequence* again = play.add(12, 1, 0, 5);
  play.plan();
  EXPECT_EQ(again->computed, 8);  // of 12: whole pages, and not the last token
  EXPECT_EQ(again->rows, 4);
}

TEST(Scheduler, PromptsWhoseLogprobsAreWantedSkipTheCache) {
  Play play(/*pages=*/32);
  play.add(12, 1, 0, 5);
  play.plan();
  play.compute();
  Sequence* again = play.add(12, 1, 0, 5);
  again->request.prompt_logprobs = 0;
  play.plan();
  EXPECT_EQ(again->rows, 12);
}

TEST(Scheduler, WhoLeavesGivesItsPagesBack) {
  Play play(/*pages=*/32);
  play.add(10, 10);
  play.add(10, 10);
  play.plan();
  EXPECT_GT(play.pool.num_used(), 0);
  EXPECT_NE(play.scheduler.remove(1), nullptr);
  EXPECT_NE(play.scheduler.remove(2), nullptr);
  EXPECT_EQ(play.scheduler.remove(3), nullptr);
  EXPECT_EQ(play.pool.num_used(), 0);
}

TEST(Scheduler, GuessesTakeWhatIsLeftOver) {
  Play play(/*pages=*/3, {.max_sequences = 1,
                          .max_rows = 16,
                          .speculation = {.num_speculative_tokens = 8, .prompt_lookup_min = 1}});
  Sequence* s = play.add(6, 6, 0, 5);
  s->tokens = {1, 2, 3, 4, 1, 2};
  s->request.prompt = s->tokens;
  play.plan();
  play.compute();  // appends 1
  play.plan();
  EXPECT_EQ(s->num_drafts(), 4);  // 2 1 followed the last 1, and so on; 5 may still come
  EXPECT_EQ(s->rows, 5);
  EXPECT_TRUE(s->append(2));
  EXPECT_TRUE(s->append(1));
  EXPECT_FALSE(s->append(9));
  EXPECT_EQ(s->num_drafts(), 0);
  EXPECT_EQ(s->history().back(), 9);
}

/// Random arrivals, leavers and caches: everybody ends, nothing leaks, nobody starves.
TEST(Scheduler, NeverStandsStill) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed, "scheduler");
    const auto pages = static_cast<int64_t>(8 + rng.below(16));
    Play play(pages, {.max_sequences = static_cast<int64_t>(1 + rng.below(6)),
                      .max_rows = static_cast<int64_t>(6 + rng.below(20))});
    int64_t added = 0, left = 0;
    int idle = 0;
    while (added < 30 || static_cast<int64_t>(play.finished.size()) + left < added) {
      if (added < 30 && rng.below(2) == 0) {
        const auto prompt = static_cast<int64_t>(1 + rng.below(16));
        play.add(prompt, static_cast<int64_t>(1 + rng.below(16)),
                 static_cast<int64_t>(rng.below(3)), rng.below(2) == 0 ? 5 : -1);
        ++added;
      }
      if (rng.below(40) == 0) left += play.scheduler.remove(1 + rng.below(30)) != nullptr;
      play.plan(static_cast<int64_t>(1 + rng.below(16)));
      idle = play.rows() == 0 && play.scheduler.num_waiting() > 0 ? idle + 1 : 0;
      ASSERT_EQ(idle, 0) << "seed " << seed;
      play.compute();
    }
    EXPECT_EQ(play.pool.num_used(), 0) << "seed " << seed;
  }
}

}  // namespace
}  // namespace moge::infer
