// A decoding step allocates nothing: neither the model and the sampler nor the engine around them.
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "moge/core/test_allocations.h"
#include "moge/infer/test_engine.h"

namespace moge::infer {
namespace {

/// Every part of the sampler at work.
SamplingParams all_filters() {
  return {.temperature = 0.9f,
          .top_k = 40,
          .top_p = 0.95f,
          .min_p = 0.01f,
          .repetition_penalty = 1.1f,
          .presence_penalty = 0.1f,
          .frequency_penalty = 0.1f,
          .logit_bias = {{5, 1.0f}},
          .max_tokens = 64,
          .min_tokens = 64,
          .num_logprobs = 5};
}

TEST(Allocations, AStepAndItsSampleMakeNone) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    TestModel test(dtype);
    ModelRunner runner(test.pool, kernels::choose_table(), test.loaded.model,
                       {.max_tokens = 16, .max_sequences = 2, .num_pages = 4, .kv_dtype = dtype});
    Sampler sampler(runner.config().vocab_size);
    for (const SamplingParams& params : {SamplingParams{}, all_filters()}) {
      std::vector<int32_t> history = {1, 2, 3, 4};
      history.reserve(64);
      const std::vector<int32_t> pages = {0, 1};
      Sample sample;
      const auto step = [&](int64_t first) {
        const StepSlice slice{.ids = std::span(history).subspan(static_cast<size_t>(first)),
                              .first_position = first,
                              .pages = pages,
                              .wants_logits = true};
        runner.step(std::span(&slice, 1));
        sampler.sample(runner.logits(0), params, history, 4, {}, {}, sample);
        history.push_back(sample.id);
      };
      step(0);  // the prompt
      step(4);
      const int64_t before = num_allocations.load();
      for (int64_t position = 5; position < 40; ++position) step(position);
      EXPECT_EQ(num_allocations.load(), before) << name_of(dtype) << " " << params.temperature;
    }
  }
}

/// Notes the count at two tokens of a request.
class CountingSink final : public Sink {
 public:
  bool on_token(const TokenEvent&) override {
    ++tokens_;
    if (tokens_ == 5) at_first_ = num_allocations.load();
    if (tokens_ == 55) at_last_ = num_allocations.load();
    return true;
  }
  void on_finish(const FinishEvent& event) override {
    std::lock_guard lock(mutex_);
    reason_ = event.reason;
    ended_ = true;
    changed_.notify_all();
  }
  FinishReason wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_; });
    return reason_;
  }
  int64_t allocations() const { return at_last_ - at_first_; }

 private:
  int64_t tokens_ = 0, at_first_ = 0, at_last_ = -1;
  FinishReason reason_ = FinishReason::kError;
  bool ended_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
};

TEST(Allocations, TheEngineMakesNoneWhileItDecodes) {
  TestEngine test(/*max_sequences=*/1);
  for (SamplingParams params : {SamplingParams{}, all_filters()}) {
    params.max_tokens = 60;
    params.min_tokens = 60;
    const auto sink = std::make_shared<CountingSink>();
    test.engine.submit({.prompt = {1, 2, 3}, .sampling = params, .want_experts = true}, sink);
    EXPECT_EQ(sink->wait(), FinishReason::kLength);
    EXPECT_EQ(sink->allocations(), 0) << params.temperature;
  }
}

}  // namespace
}  // namespace moge::infer
