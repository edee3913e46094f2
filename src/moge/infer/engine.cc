#include "moge/infer/engine.h"

#include <algorithm>
#include <bit>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "moge/infer/counters.h"
#include "moge/infer/model_runner.h"
#include "moge/infer/scheduler.h"
#include "moge/infer/step_budget.h"

namespace moge::infer {

namespace {

using Clock = Sequence::Clock;
double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

double rate(int64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0.0;
}

bool contains(const std::vector<int32_t>& ids, int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

int64_t num_rows(const std::vector<StepSlice>& slices) {
  int64_t rows = 0;
  for (const StepSlice& slice : slices) rows += static_cast<int64_t>(slice.ids.size());
  return rows;
}

/// What choosing a token needs, one for each thread that chooses.
struct Chooser {
  explicit Chooser(int64_t vocab_size)
      : sampler(vocab_size), allowed(TokenConstraint::mask_words(vocab_size)) {}
  Sampler sampler;
  std::vector<int32_t> banned;
  std::vector<uint32_t> allowed;  // of the constraint at hand
  Sample reported;                // of the prompt
};

/// A sequence with the row of the step's logits that give its next token.
struct Choice {
  Sequence* sequence;
  int64_t logits;
};

/// The first of the step's rows whose logits are wanted.
int64_t first_wanted(const Sequence& s) {
  const int64_t end = s.computed + s.rows;
  const bool reports = s.request.prompt_logprobs >= 0 && s.prompt_reported + 1 < s.prompt_tokens();
  if (reports) return std::min(end, std::max(s.computed, s.prompt_reported));
  return std::min(end, s.length - 1);
}

SchedulerOptions scheduler_options(const EngineOptions& options, const RunnerOptions& runner) {
  SchedulerOptions made{.max_sequences = std::min(options.max_num_seqs, runner.max_sequences),
                        .max_rows = std::min(options.max_num_batched_tokens, runner.max_tokens),
                        .speculation = options.speculation};
  // Everybody who runs has a row.
  made.max_rows = std::min(std::max(made.max_rows, made.max_sequences), runner.max_tokens);
  made.max_sequences = std::min(made.max_sequences, made.max_rows);
  return made;
}

}  // namespace

const char* name_of(FinishReason reason) {
  static constexpr const char* kNames[] = {"stop", "length", "abort", "error"};
  return kNames[static_cast<int>(reason)];
}

double FinishEvent::prompt_tok_s() const { return rate(prompt_tokens, prompt_s); }
double FinishEvent::decode_tok_s() const { return rate(output_tokens - 1, decode_s); }

struct Engine::State {
  State(ModelRunner& runner_in, EngineOptions options_in);
  ~State();

  // On the callers' threads.
  void validate(const Request& request) const;
  RequestId submit(Request request, std::shared_ptr<Sink> sink);
  void cancel(RequestId id);

  // On the engine's thread.
  void run();
  bool receive();
  void step();
  void compute();
  bool take_rows(Sequence& s, int64_t first_row, int64_t first_logits);
  void pool_hidden(Sequence& s, int64_t first_row);
  void report_prompt(Sequence& s, std::span<const float> logits_V, int64_t row);
  bool take_sample(Sequence& s, std::span<float> logits_V, int64_t row, bool& draft_was_right);
  void choose_ahead();
  void choose(Sequence& s, std::span<float> logits_V, Chooser& with) const;
  void take_choice(Sequence& s, std::span<float> logits_V, Chooser& with) const;
  bool ends_at(const Sequence& s, int32_t id) const;
  void finish(Sequence& s, FinishReason reason, std::string error = {}, const Sample& stop = {});
  void fail_running(const std::string& error);
  void leave_queue(int64_t count);
  void count_prompt(Sequence& s, int64_t computed);
  void count_step(double seconds);
  void count_present();

  ModelRunner& runner;
  EngineOptions options;
  std::vector<Chooser> choosers;  // of the pool's threads; the first is this one's
  std::vector<Choice> choices;
  PagePool pool;
  Scheduler scheduler;
  StepBudget budget;
  Counters counters;
  std::vector<StepSlice> slices;
  std::vector<std::unique_ptr<Sequence>> arrived;
  std::vector<RequestId> left;
  int64_t admitted = 0;  // that the queue's count knows of
  int64_t longest = 0;   // sequence that has ended

  std::mutex mutex;  // guards what follows
  std::condition_variable changed, idle;
  std::vector<std::unique_ptr<Sequence>> inbox;
  std::vector<RequestId> cancelled;
  RequestId next_id = 1;
  int64_t queued = 0;
  bool at_rest = true;  // the engine's thread has nothing to do
  bool stopping = false;

  std::thread thread;
};

Engine::State::State(ModelRunner& runner_in, EngineOptions options_in)
    : runner(runner_in),
      options(options_in),
      pool(runner.options().num_pages, runner.options().page_tokens, options.enable_prefix_caching),
      scheduler(pool, scheduler_options(options, runner.options())),
      budget(options.max_num_batched_tokens) {
  for (int i = 0; i < runner.threads().num_threads(); ++i)
    choosers.emplace_back(runner.config().vocab_size);
  const int64_t in_cache = pool.num_pages() * pool.page_tokens();
  const int64_t of_model = runner.config().max_position;
  if (options.max_model_len <= 0) options.max_model_len = std::min(of_model, in_cache);
  check(options.max_model_len <= of_model, "max_model_len is {}, the model's context is {} tokens",
        options.max_model_len, of_model);
  check(options.max_model_len <= in_cache, "max_model_len is {}, the KV cache holds {} tokens",
        options.max_model_len, in_cache);
  options.speculation.validate();
  slices.reserve(static_cast<size_t>(options.max_num_seqs));
  choices.reserve(slices.capacity());
  thread = std::thread([this] { run(); });
}

Engine::State::~State() {
  {
    std::lock_guard lock(mutex);
    stopping = true;
  }
  changed.notify_all();
  thread.join();
}

void Engine::State::validate(const Request& request) const {
  const ModelConfig& config = runner.config();
  check(!request.prompt.empty(), "prompt is empty, at least 1 token is needed");
  for (int32_t id : request.prompt)
    check(id >= 0 && id < config.vocab_size, "prompt has token id {}, the vocabulary has {} tokens",
          id, config.vocab_size);
  request.sampling.validate(config.vocab_size);
  check(request.prompt_logprobs <= config.vocab_size,
        "prompt_logprobs is {}, the vocabulary has {} tokens", request.prompt_logprobs,
        config.vocab_size);
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  check(prompt + request.sampling.max_tokens <= options.max_model_len,
        "the prompt has {} tokens and {} more are asked for, the context holds {} tokens", prompt,
        request.sampling.max_tokens, options.max_model_len);
}

RequestId Engine::State::submit(Request request, std::shared_ptr<Sink> sink) {
  validate(request);
  std::lock_guard lock(mutex);
  check(!stopping, "the engine is shutting down");
  if (queued >= options.max_queue)
    throw QueueFull(fmt::format("{} requests are waiting already", queued));
  const RequestId id = next_id++;
  inbox.push_back(std::make_unique<Sequence>(id, std::move(request), std::move(sink), pool,
                                             options.speculation.num_speculative_tokens));
  ++queued;
  at_rest = false;
  Counters::set(counters.queued, queued);
  changed.notify_all();
  return id;
}

void Engine::State::cancel(RequestId id) {
  std::lock_guard lock(mutex);
  cancelled.push_back(id);
  changed.notify_all();
}

void Engine::State::run() {
  while (receive()) {
    if (scheduler.num_running() + scheduler.num_waiting() == 0) continue;
    try {
      step();
    } catch (const std::exception& error) {
      fail_running(error.what());
    }
  }
  for (auto& s : scheduler.remove_all())
    finish(*s, FinishReason::kError, "the server is shutting down");
}

/// Takes in what the other threads have asked for; waits for it when there is nothing to do. False
/// when the engine must stop.
bool Engine::State::receive() {
  {
    std::unique_lock lock(mutex);
    const bool busy = scheduler.num_running() + scheduler.num_waiting() > 0;
    if (!busy && inbox.empty()) {
      at_rest = true;
      idle.notify_all();
    }
    changed.wait(lock, [&] { return stopping || busy || !inbox.empty() || !cancelled.empty(); });
    arrived.swap(inbox);
    left.swap(cancelled);
    if (stopping) {
      for (auto& s : arrived) scheduler.add(std::move(s));
      return false;
    }
  }
  for (auto& s : arrived) {
    const bool asks_nothing = s->request.sampling.max_tokens == 0 &&
                              s->request.prompt_logprobs < 0 && !s->request.want_embedding;
    if (asks_nothing) {
      finish(*s, FinishReason::kLength);
    } else {
      scheduler.add(std::move(s));
    }
  }
  arrived.clear();
  for (RequestId id : left)
    if (const auto s = scheduler.remove(id)) finish(*s, FinishReason::kCancelled);
  if (!left.empty()) count_present();  // there may be no step that would
  left.clear();
  return true;
}

void Engine::State::step() {
  const auto start = Clock::now();
  scheduler.plan([this](int64_t decode_rows, int64_t prompts) {
    return budget.prompt_rows(decode_rows, prompts);
  });
  if (const int64_t news = scheduler.counts().admitted - admitted; news > 0) {
    admitted += news;
    leave_queue(news);
  }
  compute();
  scheduler.sweep();
  count_step(seconds_between(start, Clock::now()));
}

void Engine::State::compute() {
  slices.clear();
  for (const auto& s : scheduler.running()) {
    if (s->rows == 0) continue;
    const int64_t end = s->computed + s->rows, wanted = end - first_wanted(*s);
    slices.push_back({.ids = std::span<const int32_t>(s->tokens).subspan(
                          static_cast<size_t>(s->computed), static_cast<size_t>(s->rows)),
                      .first_position = s->computed,
                      .pages = s->pages.pages(),
                      .wants_logits = wanted > 0,
                      .logit_rows = wanted,
                      .wants_plain_topk = s->request.want_experts});
  }
  if (slices.empty()) return;
  const auto start = Clock::now();
  runner.step(slices);
  const auto computed = Clock::now();
  if (options.observer) options.observer->on_step(runner, num_rows(slices));
  const auto nanoseconds = [](Clock::duration d) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(d).count();
  };
  Counters::add(counters.model_ns, nanoseconds(computed - start));
  Counters::add(counters.observer_ns, nanoseconds(Clock::now() - computed));
  choose_ahead();
  int64_t row = 0, logits = 0;
  for (auto& s : scheduler.running()) {
    if (s->rows == 0) continue;
    const int64_t rows = s->rows, wanted = s->computed + rows - first_wanted(*s);
    const bool goes_on = take_rows(*s, row, logits);
    row += rows;
    logits += wanted;
    if (!goes_on) s.reset();
  }
}

/// Takes what the step has given a sequence; returns false when it has ended (and been finished).
bool Engine::State::take_rows(Sequence& s, int64_t first_row, int64_t first_logits) {
  const int64_t start = s.computed, end = start + s.rows, wanted = first_wanted(s);
  count_prompt(s, end);
  if (s.request.want_embedding) pool_hidden(s, first_row);
  bool goes_on = true;
  for (int64_t at = wanted; at < end && goes_on; ++at) {
    const std::span<float> logits_V = runner.logits(first_logits + at - wanted);
    if (at + 1 < s.prompt_tokens()) {
      report_prompt(s, logits_V, at);
      continue;
    }
    if (s.request.sampling.max_tokens == 0) break;
    bool draft_was_right = false;
    goes_on = take_sample(s, logits_V, first_row + at - start, draft_was_right);
    if (!draft_was_right) break;
    Counters::add(counters.accepted_tokens, 1);
  }
  if (!goes_on) return false;
  s.drop_drafts();
  s.computed = std::min(end, s.output_tokens() > 0 ? s.length - 1 : s.length);
  if (s.computed < s.length) return true;
  finish(s, FinishReason::kLength);  // nothing but the prompt was asked for
  return false;
}

/// Adds the step's rows; after a preemption they come again, from the cache or computed anew.
void Engine::State::pool_hidden(Sequence& s, int64_t first_row) {
  const int64_t first = std::max(s.computed, s.prompt_pooled);
  const int64_t end = std::min(s.computed + s.rows, s.prompt_tokens());
  if (first >= end) return;
  s.hidden_D.resize(static_cast<size_t>(runner.config().hidden_size));
  runner.add_hidden(first_row + first - s.computed, end - first, s.hidden_D);
  s.prompt_pooled = end;
}

void Engine::State::report_prompt(Sequence& s, std::span<const float> logits_V, int64_t row) {
  const int32_t next = s.request.prompt[static_cast<size_t>(row + 1)];
  Chooser& with = choosers[0];
  with.sampler.score(logits_V, next, s.request.prompt_logprobs, with.reported);
  s.prompt_reported = row + 1;
  s.sink->on_prompt(row + 1, with.reported);
}

bool Engine::State::ends_at(const Sequence& s, int32_t id) const {
  const bool eos_ends = !s.request.sampling.ignore_eos || s.request.constraint != nullptr;
  return contains(s.request.sampling.stop_ids, id) ||
         (eos_ends && contains(runner.config().eos_ids, id));
}

/// The first token that a step gives each sequence, on all threads; those behind right guesses are
/// chosen when they are taken.
void Engine::State::choose_ahead() {
  choices.clear();
  int64_t logits = 0;
  for (const auto& s : scheduler.running()) {
    if (s->rows == 0) continue;
    const int64_t end = s->computed + s->rows, wanted = first_wanted(*s);
    const int64_t row = std::max(wanted, s->prompt_tokens() - 1);  // those before are reported
    const int64_t at = logits + row - wanted;
    logits += end - wanted;
    const bool first_block = at < runner.options().max_sequences;  // it is there, others are not
    if (row < end && first_block && s->request.sampling.max_tokens > 0)
      choices.push_back({s.get(), at});
  }
  runner.threads().parallel_for(static_cast<int64_t>(choices.size()), [this](int64_t i,
                                                                             int worker) {
    const Choice& choice = choices[static_cast<size_t>(i)];
    choose(*choice.sequence, runner.logits(choice.logits), choosers[static_cast<size_t>(worker)]);
  });
}

/// Leaves the next token in s.sample, or s.refusal where the request itself allows none.
void Engine::State::choose(Sequence& s, std::span<float> logits_V, Chooser& with) const {
  if (s.request.constraint && s.request.constraint->finished()) return;  // there is none
  try {
    take_choice(s, logits_V, with);
  } catch (const std::exception& error) {
    s.refusal = error.what();
  }
  s.chosen = true;
}

void Engine::State::take_choice(Sequence& s, std::span<float> logits_V, Chooser& with) const {
  const SamplingParams& wishes = s.request.sampling;
  with.banned.clear();
  if (s.output_tokens() < wishes.min_tokens) {
    with.banned = runner.config().eos_ids;
    with.banned.insert(with.banned.end(), wishes.stop_ids.begin(), wishes.stop_ids.end());
  }
  TokenConstraint* constraint = s.request.constraint.get();
  std::span<const uint32_t> mask;
  if (constraint) {
    constraint->allow(with.allowed);
    mask = with.allowed;
  }
  with.sampler.sample(logits_V, wishes, s.history(), s.prompt_tokens(), with.banned, mask,
                      s.sample);
  if (constraint) constraint->advance(s.sample.id);
}

/// Returns false when the sequence has ended (and been finished).
bool Engine::State::take_sample(Sequence& s, std::span<float> logits_V, int64_t row,
                                bool& draft_was_right) {
  const bool over = s.request.constraint && s.request.constraint->finished();
  if (over && !s.chosen) {  // nothing but "" was allowed
    finish(s, FinishReason::kStop);
    return false;
  }
  if (!s.chosen) choose(s, logits_V, choosers[0]);
  s.chosen = false;
  if (!s.refusal.empty()) {
    finish(s, FinishReason::kError, s.refusal);
    return false;
  }
  if (s.output_tokens() == 0) s.first_token = Clock::now();
  draft_was_right = s.append(s.sample.id);
  Counters::add(counters.output_tokens, 1);
  if (ends_at(s, s.sample.id)) {
    finish(s, FinishReason::kStop, {}, s.sample);
    return false;
  }
  const std::span<const int32_t> experts =
      s.request.want_experts ? runner.experts(row) : std::span<const int32_t>{};
  const bool wanted = s.sink->on_token({s.sample, experts});
  if (!wanted || (s.request.constraint && s.request.constraint->finished())) {
    finish(s, FinishReason::kStop);
    return false;
  }
  if (s.output_tokens() >= s.request.sampling.max_tokens) {
    finish(s, FinishReason::kLength);
    return false;
  }
  return true;
}

void Engine::State::finish(Sequence& s, FinishReason reason, std::string error,
                           const Sample& stop) {
  const auto now = Clock::now();
  longest = std::max(longest, s.length);
  Counters::set(counters.longest, longest);
  const bool was_admitted = s.admitted != Clock::time_point{};
  const auto admission = was_admitted ? s.admitted : now;
  const auto first = s.output_tokens() == 0 ? now : s.first_token;
  s.pages.clear();
  Counters::add(counters.finished, 1);
  Counters::set(counters.pages_used, pool.num_used());
  if (!was_admitted) leave_queue(1);
  s.sink->on_finish({.reason = reason,
                     .stop = stop,
                     .error = std::move(error),
                     .prompt_tokens = s.prompt_tokens(),
                     .output_tokens = s.output_tokens(),
                     .cached_tokens = s.cached_tokens,
                     .queue_s = seconds_between(s.arrived, admission),
                     .prompt_s = seconds_between(admission, first),
                     .decode_s = seconds_between(first, now),
                     .embedding = s.embedding()});
}

/// A step has failed: what it was to compute is lost, and so is what the cache promised.
void Engine::State::fail_running(const std::string& error) {
  for (auto& s : scheduler.running())
    if (s) finish(*s, FinishReason::kError, error);
  scheduler.running().clear();
  pool.forget_all();
}

void Engine::State::leave_queue(int64_t count) {
  std::lock_guard lock(mutex);
  queued -= count;
  Counters::set(counters.queued, queued);
}

/// Prompt tokens count when they are first in the cache.
void Engine::State::count_prompt(Sequence& s, int64_t computed) {
  const int64_t known = std::min(computed, s.prompt_tokens());
  if (known <= s.prompt_counted) return;
  Counters::add(counters.prompt_tokens, known - s.prompt_counted);
  s.prompt_counted = known;
}

/// Who runs and what they hold.
void Engine::State::count_present() {
  Counters::set(counters.running, scheduler.num_running());
  Counters::set(counters.preempted, scheduler.counts().waiting_again);
  Counters::set(counters.pages_used, pool.num_used());
}

void Engine::State::count_step(double seconds) {
  const SchedulerCounts& counts = scheduler.counts();
  budget.note(counts.decode_rows, counts.prompt_rows, seconds);
  Counters::add(counters.steps, 1);
  const int64_t rows = counts.decode_rows + counts.prompt_rows;
  const int bucket = std::bit_width(static_cast<uint64_t>(std::max<int64_t>(1, rows) - 1));
  Counters::add(counters.steps_by_rows[static_cast<size_t>(std::min(bucket, 16))], 1);
  Counters::add(counters.step_rows, rows);
  Counters::add(counts.prompt_rows > 0 ? counters.prompt_ns : counters.decode_ns,
                static_cast<int64_t>(seconds * 1e9));
  count_present();
  Counters::set(counters.preemptions, counts.preemptions);
  Counters::set(counters.prefix_queries, counts.prefix_queries);
  Counters::set(counters.prefix_hits, counts.prefix_hits);
  Counters::set(counters.drafts, counts.drafts);
  Counters::set(counters.drafted_tokens, counts.drafted);
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
  state_->idle.wait(lock, [&] { return state_->at_rest; });
}

EngineStats Engine::stats() const {
  EngineStats stats = state_->counters.read();
  stats.pages_total = state_->pool.num_pages();
  return stats;
}

int64_t Engine::max_model_len() const { return state_->options.max_model_len; }

}  // namespace moge::infer
