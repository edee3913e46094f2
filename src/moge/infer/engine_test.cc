// The engine with a small model: counters, cancellation, log-probabilities of prompts, failures.
#include "moge/infer/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "moge/infer/test_engine.h"

namespace moge::infer {
namespace {

/// Keeps what comes; on_each is called at each token.
class Recorder final : public Sink {
 public:
  explicit Recorder(std::function<bool(int64_t tokens)> on_each = {})
      : on_each_(std::move(on_each)) {}
  void on_prompt(int64_t position, const Sample& sample) override {
    EXPECT_EQ(position, static_cast<int64_t>(prompt.size()) + 1);
    prompt.push_back(sample);
  }
  bool on_token(const TokenEvent& event) override {
    output.push_back(event.sample);
    return !on_each_ || on_each_(static_cast<int64_t>(output.size()));
  }
  void on_finish(const FinishEvent& event) override {
    std::lock_guard lock(mutex_);
    finish_ = event;
    ended_ = true;
    changed_.notify_all();
  }
  FinishEvent wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_; });
    return finish_;
  }

  std::vector<Sample> prompt, output;

 private:
  std::function<bool(int64_t)> on_each_;
  FinishEvent finish_;
  bool ended_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
};

Request request_of(std::vector<int32_t> prompt, int64_t max_tokens) {
  return {.prompt = std::move(prompt),
          .sampling = {.max_tokens = max_tokens, .ignore_eos = true, .num_logprobs = 0}};
}

std::vector<int32_t> ids_upto(int32_t count) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < count; ++i) ids.push_back((i * 37 + 11) % 1000);
  return ids;
}

TEST(Engine, CountersGrowWhileARequestRuns) {
  TestEngine test(/*max_sequences=*/2);
  EngineStats during;
  const auto sink = std::make_shared<Recorder>([&](int64_t tokens) {
    if (tokens == 5) during = test.engine.stats();
    return true;
  });
  test.engine.submit(request_of(ids_upto(40), 10), sink);
  const FinishEvent finish = sink->wait();
  test.engine.drain();
  EXPECT_EQ(during.prompt_tokens, 40);
  EXPECT_EQ(during.output_tokens, 5);
  EXPECT_EQ(during.running, 1);
  EXPECT_EQ(during.pages_used, 2);
  EXPECT_EQ(during.finished, 0);
  const EngineStats after = test.engine.stats();
  EXPECT_EQ(after.output_tokens, 10);
  EXPECT_EQ(after.finished, 1);
  EXPECT_EQ(after.pages_used, 0);
  EXPECT_EQ(after.pages_total, 32);
  EXPECT_EQ(after.waiting, 0);
  EXPECT_EQ(finish.cached_tokens, 0);
}

TEST(Engine, ASecondRequestFindsTheFirstOnesPages) {
  TestEngine test(2);
  const auto first = std::make_shared<Recorder>(), second = std::make_shared<Recorder>();
  test.engine.submit(request_of(ids_upto(70), 4), first);
  first->wait();
  test.engine.submit(request_of(ids_upto(70), 4), second);
  EXPECT_EQ(second->wait().cached_tokens, 64);
  EXPECT_EQ(second->output[3].logprob, first->output[3].logprob);
  EXPECT_EQ(test.engine.stats().prefix_queries, 140);
  EXPECT_EQ(test.engine.stats().prefix_hits, 64);
}

TEST(Engine, ACancelledRequestsPagesAreFreeWithinAStep) {
  TestEngine test(/*max_sequences=*/2);
  std::atomic<RequestId> victim{0};
  int64_t used_before = 0, used_after = 0;
  const auto stays = std::make_shared<Recorder>([&](int64_t tokens) {
    if (tokens == 10) {
      used_before = test.engine.stats().pages_used;
      test.engine.cancel(victim);
    }
    if (tokens == 12) used_after = test.engine.stats().pages_used;  // one step was between
    return true;
  });
  const auto leaves = std::make_shared<Recorder>();
  victim = test.engine.submit(request_of(ids_upto(100), 100), leaves);
  test.engine.submit(request_of({1, 2, 3}, 20), stays);
  EXPECT_EQ(leaves->wait().reason, FinishReason::kCancelled);
  EXPECT_EQ(stays->wait().reason, FinishReason::kLength);
  EXPECT_GE(used_before, 5);
  EXPECT_EQ(used_after, 1);
}

TEST(Engine, ALoneRequestThatIsCancelledLeavesNothingRunning) {
  TestEngine test(/*max_sequences=*/1);
  std::atomic<RequestId> id{0};
  const auto sink = std::make_shared<Recorder>([&](int64_t tokens) {
    if (tokens >= 5) test.engine.cancel(id);
    return true;
  });
  id = test.engine.submit(request_of(ids_upto(40), 200), sink);
  EXPECT_EQ(sink->wait().reason, FinishReason::kCancelled);
  EngineStats stats = test.engine.stats();
  for (int i = 0; i < 500 && (stats.running > 0 || stats.pages_used > 0); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    stats = test.engine.stats();
  }
  EXPECT_EQ(stats.running, 0);
  EXPECT_EQ(stats.pages_used, 0);
}

TEST(Engine, WhoIsCancelledWhileWaitingLeavesTheQueue) {
  TestEngine test(/*max_sequences=*/1);
  const auto runs = std::make_shared<Recorder>(), waits = std::make_shared<Recorder>();
  test.engine.submit(request_of({1, 2}, 60), runs);
  const RequestId id = test.engine.submit(request_of({1, 2}, 60), waits);
  test.engine.cancel(id);
  test.engine.cancel(99);  // unknown
  EXPECT_EQ(waits->wait().reason, FinishReason::kCancelled);
  EXPECT_EQ(waits->wait().output_tokens, 0);
  EXPECT_EQ(runs->wait().reason, FinishReason::kLength);
  test.engine.drain();
  EXPECT_EQ(test.engine.stats().waiting, 0);
}

/// The model's own log-probabilities of a prompt, row by row in one plain step.
std::vector<float> logprobs_of(const std::vector<int32_t>& prompt) {
  TestEngine test(/*max_sequences=*/8);
  const std::vector<int32_t> pages = {0, 1, 2, 3};
  const StepSlice slice{.ids = prompt,
                        .pages = pages,
                        .wants_logits = true,
                        .logit_rows = static_cast<int64_t>(prompt.size())};
  test.runner.step(std::span(&slice, 1));
  std::vector<float> logprobs;
  for (size_t i = 0; i + 1 < prompt.size(); ++i) {
    const auto logits = test.runner.logits(static_cast<int64_t>(i));
    const auto next = static_cast<size_t>(prompt[i + 1]);
    logprobs.push_back(static_cast<float>(logits[next] - log_sum_exp(logits)));
  }
  return logprobs;
}

TEST(Engine, PromptsAreScoredTokenByToken) {
  const auto prompt = ids_upto(30);
  const auto expected = logprobs_of(prompt);
  TestEngine test(2);
  const auto warm = std::make_shared<Recorder>();
  test.engine.submit(request_of(prompt, 1), warm);  // its pages must not spoil the next ones
  warm->wait();
  for (int64_t max_tokens : {0, 3}) {
    Request request = request_of(prompt, max_tokens);
    request.prompt_logprobs = 2;
    const auto sink = std::make_shared<Recorder>();
    test.engine.submit(std::move(request), sink);
    EXPECT_EQ(sink->wait().reason, FinishReason::kLength);
    ASSERT_EQ(sink->prompt.size(), prompt.size() - 1);
    EXPECT_EQ(sink->output.size(), static_cast<size_t>(max_tokens));
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(sink->prompt[i].id, prompt[i + 1]);
      EXPECT_EQ(sink->prompt[i].logprob, expected[i]) << i;
      ASSERT_EQ(sink->prompt[i].top.size(), 2u);
      EXPECT_GE(sink->prompt[i].top[0].logprob, sink->prompt[i].top[1].logprob);
      EXPECT_GE(sink->prompt[i].top[0].logprob, sink->prompt[i].logprob);
    }
  }
}

TEST(Engine, WhoAsksForNothingGetsIt) {
  TestEngine test(1);
  const auto nothing = std::make_shared<Recorder>(), one = std::make_shared<Recorder>();
  test.engine.submit(request_of({1, 2, 3}, 0), nothing);
  EXPECT_EQ(nothing->wait().reason, FinishReason::kLength);
  Request request = request_of({7}, 0);
  request.prompt_logprobs = 0;
  test.engine.submit(std::move(request), one);
  EXPECT_EQ(one->wait().reason, FinishReason::kLength);
  EXPECT_TRUE(one->prompt.empty());  // the first token has nothing before it
}

TEST(Engine, GuessesChangeStepsNotTokens) {
  TestModel model;
  const auto run = [&](int64_t guesses) {
    ModelRunner runner(model.pool, kernels::choose_table(), model.loaded.model,
                       {.max_tokens = 32, .max_sequences = 1, .num_pages = 8});
    Engine engine(runner,
                  {.max_num_seqs = 1,
                   .max_num_batched_tokens = 32,
                   .speculation = {.num_speculative_tokens = guesses, .prompt_lookup_min = 1}});
    const auto sink = std::make_shared<Recorder>();
    engine.submit(request_of({5, 6, 5, 6, 5, 6, 5}, 100), sink);
    engine.drain();  // the last step has been counted
    return std::pair(sink, engine.stats());
  };
  const auto [plain, plain_stats] = run(0);
  const auto [guessed, stats] = run(4);
  ASSERT_EQ(guessed->output.size(), plain->output.size());
  for (size_t i = 0; i < plain->output.size(); ++i) {
    EXPECT_EQ(guessed->output[i].id, plain->output[i].id);
    EXPECT_EQ(guessed->output[i].logprob, plain->output[i].logprob);
  }
  EXPECT_GT(stats.accepted_tokens, 0);
  EXPECT_LT(stats.steps, plain_stats.steps);
  EXPECT_EQ(stats.steps + stats.accepted_tokens, plain_stats.steps);
}

TEST(Engine, ASmallCacheMakesRequestsWaitAndLosesNone) {
  TestModel model;
  ModelRunner runner(model.pool, kernels::choose_table(), model.loaded.model,
                     {.max_tokens = 32, .max_sequences = 8, .page_tokens = 16, .num_pages = 5});
  Engine engine(runner, {.max_num_seqs = 8, .max_num_batched_tokens = 32});
  EXPECT_EQ(engine.max_model_len(), 80);
  std::vector<std::shared_ptr<Recorder>> sinks;
  for (int32_t i = 0; i < 8; ++i) {
    sinks.push_back(std::make_shared<Recorder>());
    engine.submit(request_of({i, i + 1, i + 2}, 70), sinks.back());
  }
  for (const auto& sink : sinks) {
    const FinishEvent finish = sink->wait();
    EXPECT_EQ(finish.reason, FinishReason::kLength) << finish.error;
    EXPECT_EQ(finish.output_tokens, 70);
  }
  engine.drain();
  EXPECT_GT(engine.stats().preemptions, 0);
  EXPECT_EQ(engine.stats().prompt_tokens, 24);  // counted once, however often they are computed
  EXPECT_EQ(engine.stats().output_tokens, 560);
}

TEST(Engine, AFullQueueRefuses) {
  TestModel model;
  ModelRunner runner(model.pool, kernels::choose_table(), model.loaded.model,
                     {.max_tokens = 32, .max_sequences = 1, .num_pages = 8});
  Engine engine(runner, {.max_num_seqs = 1, .max_num_batched_tokens = 32, .max_queue = 2});
  std::mutex gate;
  std::unique_lock closed(gate);  // holds the engine inside its first token
  const auto runs = std::make_shared<Recorder>([&](int64_t) {
    std::lock_guard wait(gate);
    return true;
  });
  engine.submit(request_of({1}, 2), runs);
  while (engine.stats().waiting > 0) std::this_thread::yield();  // it has left the queue
  std::vector<std::shared_ptr<Recorder>> waiting;
  for (int i = 0; i < 2; ++i) {
    waiting.push_back(std::make_shared<Recorder>());
    engine.submit(request_of({1}, 2), waiting.back());
  }
  EXPECT_EQ(engine.stats().waiting, 2);
  EXPECT_THROW(engine.submit(request_of({1}, 2), runs), QueueFull);
  closed.unlock();
  for (const auto& sink : waiting) EXPECT_EQ(sink->wait().reason, FinishReason::kLength);
}

}  // namespace
}  // namespace moge::infer
