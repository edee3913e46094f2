#include "moge/infer/test_arrangements.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <utility>

#include "moge/core/rng.h"

namespace moge::infer {

namespace {

/// How many have ended, and the wait for it.
struct Ends {
  std::mutex mutex;
  std::condition_variable changed;
  size_t count = 0;
};

class Collector final : public Sink {
 public:
  Collector(Answer& answer, Ends& ends) : answer_(answer), ends_(ends) {}
  void on_prompt(int64_t, const Sample& sample) override { add(sample); }
  bool on_token(const TokenEvent& event) override {
    answer_.ids.push_back(event.sample.id);
    add(event.sample);
    answer_.experts.insert(answer_.experts.end(), event.experts_LK.begin(), event.experts_LK.end());
    return true;
  }
  void on_finish(const FinishEvent& event) override {
    answer_.reason = event.reason;
    answer_.error = event.error;
    std::lock_guard lock(ends_.mutex);
    ++ends_.count;
    ends_.changed.notify_all();
  }

 private:
  void add(const Sample& sample) {
    answer_.logprobs.push_back(sample.logprob);
    for (const TokenLogprob& other : sample.top) {
      answer_.logprobs.push_back(static_cast<float>(other.id));
      answer_.logprobs.push_back(other.logprob);
    }
  }

  Answer& answer_;
  Ends& ends_;
};

SamplingParams random_sampling(Rng& rng, int64_t room) {
  const auto some = [&](double share) { return rng.uniform() < share; };
  SamplingParams s;
  const uint64_t most = some(0.4) ? 120 : 16;  // long ones outgrow the pages they came in with
  s.max_tokens = std::min<int64_t>(room, 1 + static_cast<int64_t>(rng.below(most)));
  s.ignore_eos = true;
  s.seed = rng.below(1000);
  s.num_logprobs = static_cast<int>(rng.below(4)) - 1;
  if (some(0.4)) return s;  // greedy
  s.temperature = 0.2f + static_cast<float>(rng.uniform());
  if (some(0.4)) s.top_k = static_cast<int64_t>(1 + rng.below(50));
  if (some(0.4)) s.top_p = 0.5f + 0.5f * static_cast<float>(rng.uniform());
  if (some(0.2)) s.min_p = 0.05f;
  if (some(0.2)) s.typical_p = 0.8f;
  if (some(0.3)) s.repetition_penalty = 1.2f;
  if (some(0.3)) s.presence_penalty = 0.5f;
  if (some(0.3)) s.frequency_penalty = 0.3f;
  if (some(0.2)) s.logit_bias = {{static_cast<int32_t>(rng.below(256)), 2.0f}};
  if (some(0.2)) s.min_tokens = s.max_tokens / 2;
  if (some(0.2)) s.stop_ids = {static_cast<int32_t>(rng.below(256))};
  return s;
}

}  // namespace

std::string Arrangement::text() const {
  return fmt::format(
      "threads {}, seqs {}, batched tokens {}, {} pages of {}, prefix caching {}, guesses {}, {} "
      "in "
      "flight",
      threads, max_num_seqs, max_num_batched_tokens, num_pages, page_tokens, prefix_caching,
      num_speculative_tokens, std::min(in_flight, order.size()));
}

std::vector<Request> random_requests(size_t count, uint64_t seed, int64_t vocab_size,
                                     int64_t context) {
  Rng rng(seed, "requests");
  const auto any = [&] {
    return static_cast<int32_t>(rng.below(static_cast<uint64_t>(vocab_size)));
  };
  std::vector<std::vector<int32_t>> beginnings(4);
  for (auto& beginning : beginnings)
    for (int64_t i = 0; i < context / 2; ++i) beginning.push_back(any());
  std::vector<Request> requests(count);
  for (Request& request : requests) {
    const auto& beginning = beginnings[rng.below(4)];
    const auto shared = rng.uniform() < 0.6 ? rng.below(beginning.size() + 1) : 0;
    request.prompt.assign(beginning.begin(), beginning.begin() + static_cast<ptrdiff_t>(shared));
    for (uint64_t own = 1 + rng.below(static_cast<uint64_t>(context) / 4); own > 0; --own)
      request.prompt.push_back(own % 3 == 0 ? beginning[own] : any());
    if (rng.below(4) == 0)  // something to guess from
      for (size_t i = 0; i < 6; ++i) request.prompt.push_back(request.prompt[i % 3]);
    const auto length = static_cast<int64_t>(request.prompt.size());
    request.sampling = random_sampling(rng, context - length);
    request.want_experts = rng.below(4) == 0;
    if (rng.below(5) == 0) request.prompt_logprobs = static_cast<int>(rng.below(3));
    if (rng.below(8) == 0) request.cache_salt = "salt";
    if (rng.below(8) == 0) request.priority = static_cast<int64_t>(rng.below(3)) - 1;
  }
  return requests;
}

Arrangement random_arrangement(size_t num_requests, uint64_t seed, int64_t context) {
  Rng rng(seed, "arrangement");
  Arrangement made;
  made.threads = static_cast<int>(1 + rng.below(3));
  made.max_num_seqs = static_cast<int64_t>(1 + rng.below(24));
  made.max_num_batched_tokens =
      std::max(made.max_num_seqs, static_cast<int64_t>(1 + rng.below(96)));
  made.page_tokens = int64_t{16} << rng.below(2);
  const int64_t least = (context + made.page_tokens - 1) / made.page_tokens;
  made.num_pages = least + static_cast<int64_t>(rng.below(4) == 0 ? 200 : rng.below(6));
  made.prefix_caching = rng.below(3) > 0;
  made.num_speculative_tokens = rng.below(2) == 0 ? 0 : static_cast<int64_t>(1 + rng.below(5));
  made.order.resize(num_requests);
  std::iota(made.order.begin(), made.order.end(), size_t{0});
  for (size_t i = num_requests; i > 1; --i) std::swap(made.order[i - 1], made.order[rng.below(i)]);
  if (rng.below(2) == 0) made.in_flight = 1 + rng.below(num_requests);
  return made;
}

Arrangement alone(size_t num_requests, int64_t context) {
  Arrangement made{.max_num_seqs = 1,
                   .max_num_batched_tokens = context,
                   .num_pages = (context + 15) / 16,
                   .prefix_caching = false,
                   .in_flight = 1};
  made.order.resize(num_requests);
  std::iota(made.order.begin(), made.order.end(), size_t{0});
  return made;
}

ArrangedRun run_arranged(const LoadedModel& loaded, const std::vector<Request>& requests,
                         const Arrangement& a, int64_t context) {
  ArrangedRun run;
  run.answers.resize(requests.size());
  ThreadPool threads(a.threads);
  ModelRunner runner(threads, kernels::choose_table(), loaded.model,
                     {.max_tokens = std::max(a.max_num_batched_tokens, a.max_num_seqs),
                      .max_sequences = a.max_num_seqs,
                      .page_tokens = a.page_tokens,
                      .num_pages = a.num_pages,
                      .kv_dtype = loaded.model.dtype});
  Engine engine(runner, {.max_model_len = context,
                         .max_num_seqs = a.max_num_seqs,
                         .max_num_batched_tokens = a.max_num_batched_tokens,
                         .enable_prefix_caching = a.prefix_caching,
                         .speculation = {.num_speculative_tokens = a.num_speculative_tokens,
                                         .prompt_lookup_min = 1}});
  Ends ends;
  for (size_t submitted = 0; submitted < a.order.size(); ++submitted) {
    {
      std::unique_lock lock(ends.mutex);
      ends.changed.wait(lock, [&] { return submitted - ends.count < a.in_flight; });
    }
    const size_t i = a.order[submitted];
    engine.submit(requests[i], std::make_shared<Collector>(run.answers[i], ends));
  }
  engine.drain();
  run.stats = engine.stats();
  return run;
}

}  // namespace moge::infer
