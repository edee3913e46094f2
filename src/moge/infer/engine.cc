#include "moge/infer/engine.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "moge/infer/kv_pages.h"
#include "moge/infer/model_runner.h"

namespace moge::infer {

namespace {

using Clock = std::chrono::steady_clock;
double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

double rate(int64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0.0;
}

/// A request on its way. `history` is the prompt followed by the output; rows [0, computed) are in
/// the cache.
struct Sequence {
  Sequence(RequestId id_in, Request request_in, std::shared_ptr<Sink> sink_in, PagePool& pool,
           int64_t page_tokens)
      : id(id_in),
        request(std::move(request_in)),
        sink(std::move(sink_in)),
        pages(pool, page_tokens),
        history(request.prompt) {
    history.reserve(history.size() + static_cast<size_t>(request.sampling.max_tokens));
  }
  int64_t prompt_tokens() const { return static_cast<int64_t>(request.prompt.size()); }
  int64_t length() const { return static_cast<int64_t>(history.size()); }
  int64_t output_tokens() const { return length() - prompt_tokens(); }
  int64_t most_tokens() const { return prompt_tokens() + request.sampling.max_tokens; }

  RequestId id;
  Request request;
  std::shared_ptr<Sink> sink;
  PageTable pages;
  std::vector<int32_t> history;
  int64_t computed = 0;
  int64_t rows_this_step = 0;
  Sample sample;
  Clock::time_point arrived = Clock::now(), admitted{}, first_token{};
};

}  // namespace

const char* name_of(FinishReason reason) {
  static constexpr const char* kNames[] = {"stop", "length", "abort", "error"};
  return kNames[static_cast<int>(reason)];
}

double FinishEvent::prompt_tok_s() const { return rate(prompt_tokens, prompt_s); }
double FinishEvent::decode_tok_s() const { return rate(output_tokens - 1, decode_s); }

struct Engine::State {
  State(ModelRunner& runner_in, EngineOptions options_in)
      : runner(runner_in),
        options(options_in),
        sampler(runner.config().vocab_size),
        pool(runner.options().num_pages),
        allowed(TokenConstraint::mask_words(runner.config().vocab_size)) {
    const int64_t in_cache = pool.num_pages() * runner.options().page_tokens;
    const int64_t of_model = runner.config().max_position;
    if (options.max_model_len <= 0) options.max_model_len = std::min(of_model, in_cache);
    check(options.max_model_len <= of_model,
          "max_model_len is {}, the model's context is {} tokens", options.max_model_len, of_model);
    check(options.max_model_len <= in_cache, "max_model_len is {}, the KV cache holds {} tokens",
          options.max_model_len, in_cache);
    thread = std::thread([this] { run(); });
  }

  ~State() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    changed.notify_all();
    thread.join();
  }

  // On the callers' threads.
  void validate(const Request& request) const;
  RequestId submit(Request request, std::shared_ptr<Sink> sink);
  void cancel(RequestId id);

  // On the engine's thread.
  void run();
  bool wait_for_work();
  void apply_cancellations();
  void admit();
  void plan_step();
  void compute_step();
  bool take_sample(Sequence& sequence, std::span<float> logits_V, int64_t row);
  bool ends_at(const Sequence& sequence, int32_t id) const;
  void finish(Sequence& sequence, FinishReason reason, std::string error = {},
              int32_t stop_id = -1);
  void finish_all(const std::string& error);
  void count_step();

  ModelRunner& runner;
  EngineOptions options;
  Sampler sampler;
  PagePool pool;
  std::vector<std::unique_ptr<Sequence>> running;  // in order of admission
  std::vector<StepSlice> slices;
  std::vector<int32_t> banned;
  std::vector<uint32_t> allowed;  // of the constraint at hand

  mutable std::mutex mutex;  // guards what follows
  std::condition_variable changed, idle;
  std::deque<std::unique_ptr<Sequence>> waiting;
  std::vector<RequestId> cancelled;
  EngineStats counters;
  RequestId next_id = 1;
  bool stopping = false;

  std::thread thread;
};

void Engine::State::validate(const Request& request) const {
  const ModelConfig& config = runner.config();
  check(!request.prompt.empty(), "prompt is empty, at least 1 token is needed");
  for (int32_t id : request.prompt)
    check(id >= 0 && id < config.vocab_size, "prompt has token id {}, the vocabulary has {} tokens",
          id, config.vocab_size);
  request.sampling.validate(config.vocab_size);
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  check(prompt + request.sampling.max_tokens <= options.max_model_len,
        "the prompt has {} tokens and {} more are asked for, the context holds {} tokens", prompt,
        request.sampling.max_tokens, options.max_model_len);
}

RequestId Engine::State::submit(Request request, std::shared_ptr<Sink> sink) {
  validate(request);
  std::lock_guard lock(mutex);
  check(!stopping, "the engine is shutting down");
  if (static_cast<int64_t>(waiting.size()) >= options.max_queue)
    throw QueueFull(fmt::format("{} requests are waiting already", waiting.size()));
  const RequestId id = next_id++;
  waiting.push_back(std::make_unique<Sequence>(id, std::move(request), std::move(sink), pool,
                                               runner.options().page_tokens));
  changed.notify_all();
  return id;
}

void Engine::State::cancel(RequestId id) {
  std::lock_guard lock(mutex);
  cancelled.push_back(id);
  changed.notify_all();
}

void Engine::State::run() {
  while (wait_for_work()) {
    apply_cancellations();
    admit();
    if (running.empty()) continue;
    try {
      plan_step();
      compute_step();
    } catch (const std::exception& error) {
      finish_all(error.what());
    }
  }
  finish_all("the server is shutting down");
}

/// False when the engine must stop.
bool Engine::State::wait_for_work() {
  std::unique_lock lock(mutex);
  counters.running = static_cast<int64_t>(running.size());
  if (running.empty() && waiting.empty()) idle.notify_all();
  changed.wait(lock, [&] { return stopping || !running.empty() || !waiting.empty(); });
  return !stopping;
}

void Engine::State::apply_cancellations() {
  std::vector<std::unique_ptr<Sequence>> gone;
  {
    std::lock_guard lock(mutex);
    if (cancelled.empty()) return;
    const auto take = [&](auto& from) {
      for (auto it = from.begin(); it != from.end();) {
        const bool hit =
            std::find(cancelled.begin(), cancelled.end(), (*it)->id) != cancelled.end();
        if (hit) gone.push_back(std::move(*it));
        it = hit ? from.erase(it) : it + 1;
      }
    };
    take(running);
    take(waiting);
    cancelled.clear();
  }
  for (auto& sequence : gone) finish(*sequence, FinishReason::kCancelled);
}

/// First come, first served; a request enters when pages for its longest possible answer are free.
void Engine::State::admit() {
  while (static_cast<int64_t>(running.size()) < options.max_num_seqs) {
    std::unique_ptr<Sequence> next;
    {
      std::lock_guard lock(mutex);
      if (waiting.empty()) return;
      Sequence& first = *waiting.front();
      if (first.pages.pages_to_hold(first.most_tokens()) > pool.num_free()) return;
      next = std::move(waiting.front());
      waiting.pop_front();
      counters.running = static_cast<int64_t>(running.size()) + 1;
    }
    next->admitted = Clock::now();
    if (next->request.sampling.max_tokens == 0) {
      finish(*next, FinishReason::kLength);
      continue;
    }
    next->pages.grow(next->most_tokens());
    running.push_back(std::move(next));
  }
}

/// Decoding rows first, then prompts in order of admission up to the step's token budget.
void Engine::State::plan_step() {
  int64_t budget = options.max_num_batched_tokens;
  for (auto& s : running) {
    const bool decodes = s->length() - s->computed == 1;
    s->rows_this_step = decodes && budget > 0 ? 1 : 0;
    budget -= s->rows_this_step;
  }
  for (auto& s : running) {
    if (s->rows_this_step > 0) continue;
    s->rows_this_step = std::min(budget, s->length() - s->computed);
    budget -= s->rows_this_step;
  }
}

void Engine::State::compute_step() {
  slices.clear();
  for (auto& s : running) {
    if (s->rows_this_step == 0) continue;
    const std::span<const int32_t> rows(s->history);
    slices.push_back({.ids = rows.subspan(static_cast<size_t>(s->computed),
                                          static_cast<size_t>(s->rows_this_step)),
                      .first_position = s->computed,
                      .pages = s->pages.pages(),
                      .wants_logits = s->computed + s->rows_this_step == s->length(),
                      .wants_plain_topk = s->request.want_experts});
  }
  runner.step(slices);
  int64_t row = 0, samples = 0;
  for (auto& s : running) {
    if (s->rows_this_step == 0) continue;
    row += s->rows_this_step;
    s->computed += s->rows_this_step;
    if (s->computed < s->length()) continue;
    if (!take_sample(*s, runner.logits(samples++), row - 1)) s.reset();
  }
  std::erase(running, nullptr);
  count_step();
}

bool Engine::State::ends_at(const Sequence& sequence, int32_t id) const {
  const auto contains = [id](const std::vector<int32_t>& ids) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  const SamplingParams& wishes = sequence.request.sampling;
  const bool eos_ends = !wishes.ignore_eos || sequence.request.constraint != nullptr;
  return contains(wishes.stop_ids) || (eos_ends && contains(runner.config().eos_ids));
}

/// Returns false when the sequence has ended (and been finished).
bool Engine::State::take_sample(Sequence& s, std::span<float> logits_V, int64_t row) {
  const SamplingParams& wishes = s.request.sampling;
  banned.clear();
  if (s.output_tokens() < wishes.min_tokens) {
    banned = runner.config().eos_ids;
    banned.insert(banned.end(), wishes.stop_ids.begin(), wishes.stop_ids.end());
  }
  TokenConstraint* constraint = s.request.constraint.get();
  try {
    std::span<const uint32_t> mask;
    if (constraint) constraint->allow(allowed), mask = allowed;
    sampler.sample(logits_V, wishes, s.history, s.prompt_tokens(), banned, mask, s.sample);
    if (constraint) constraint->advance(s.sample.id);
  } catch (const std::exception& error) {  // of this request alone
    finish(s, FinishReason::kError, error.what());
    return false;
  }
  if (s.output_tokens() == 0) s.first_token = Clock::now();
  s.history.push_back(s.sample.id);
  if (ends_at(s, s.sample.id)) {
    finish(s, FinishReason::kStop, {}, s.sample.id);
    return false;
  }
  const std::span<const int32_t> experts =
      s.request.want_experts ? runner.experts(row) : std::span<const int32_t>{};
  if (!s.sink->on_token({s.sample, experts})) {
    finish(s, FinishReason::kStop);
    return false;
  }
  if (constraint && constraint->finished()) {
    finish(s, FinishReason::kStop);
    return false;
  }
  if (s.output_tokens() >= wishes.max_tokens) {
    finish(s, FinishReason::kLength);
    return false;
  }
  return true;
}

void Engine::State::finish(Sequence& s, FinishReason reason, std::string error, int32_t stop_id) {
  const auto now = Clock::now();
  const auto admitted = s.admitted == Clock::time_point{} ? now : s.admitted;
  const auto first = s.output_tokens() == 0 ? now : s.first_token;
  s.pages.clear();
  {
    std::lock_guard lock(mutex);
    ++counters.finished;
    counters.output_tokens += s.output_tokens();
    counters.prompt_tokens += s.prompt_tokens();
  }
  s.sink->on_finish({.reason = reason,
                     .stop_id = stop_id,
                     .error = std::move(error),
                     .prompt_tokens = s.prompt_tokens(),
                     .output_tokens = s.output_tokens(),
                     .queue_s = seconds_between(s.arrived, admitted),
                     .prompt_s = seconds_between(admitted, first),
                     .decode_s = seconds_between(first, now)});
}

void Engine::State::finish_all(const std::string& error) {
  for (auto& sequence : running) finish(*sequence, FinishReason::kError, error);
  running.clear();
  std::deque<std::unique_ptr<Sequence>> left;
  {
    std::lock_guard lock(mutex);
    if (stopping) left.swap(waiting);
  }
  for (auto& sequence : left) finish(*sequence, FinishReason::kError, error);
}

void Engine::State::count_step() {
  std::lock_guard lock(mutex);
  ++counters.steps;
  counters.running = static_cast<int64_t>(running.size());
  counters.pages_used = pool.num_pages() - pool.num_free();
}

Engine::Engine(ModelRunner& runner, EngineOptions options)
    : state_(std::make_unique<State>(runner, options)) {}
Engine::~Engine() = default;

RequestId Engine::submit(Request request, std::shared_ptr<Sink> sink) {
  return state_->submit(std::move(request), std::move(sink));
}

void Engine::cancel(RequestId id) { state_->cancel(id); }

void Engine::drain() {
  std::unique_lock lock(state_->mutex);
  state_->idle.wait(lock, [&] { return state_->waiting.empty() && state_->counters.running == 0; });
}

EngineStats Engine::stats() const {
  std::lock_guard lock(state_->mutex);
  EngineStats stats = state_->counters;
  stats.waiting = static_cast<int64_t>(state_->waiting.size());
  stats.pages_total = state_->pool.num_pages();
  return stats;
}

int64_t Engine::max_model_len() const { return state_->options.max_model_len; }

}  // namespace moge::infer
