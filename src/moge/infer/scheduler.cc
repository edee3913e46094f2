#include "moge/infer/scheduler.h"

#include <algorithm>

#include "moge/core/error.h"

namespace moge::infer {

Scheduler::Scheduler(PagePool& pool, SchedulerOptions options) : pool_(pool), options_(options) {
  MOGE_ASSERT(options.max_rows >= options.max_sequences);
  running_.reserve(static_cast<size_t>(options.max_sequences));
}

void Scheduler::add(std::unique_ptr<Sequence> sequence) {
  const Key key = precedence(*sequence);
  waiting_.emplace(key, std::move(sequence));
}

std::unique_ptr<Sequence> Scheduler::remove(RequestId id) {
  for (auto it = running_.begin(); it != running_.end(); ++it) {
    if ((*it)->id != id) continue;
    std::unique_ptr<Sequence> found = std::move(*it);
    running_.erase(it);
    return found;
  }
  for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
    if (it->first.second != id) continue;
    std::unique_ptr<Sequence> found = std::move(it->second);
    waiting_.erase(it);
    counts_.waiting_again -= found->preempted;
    return found;
  }
  return nullptr;
}

std::vector<std::unique_ptr<Sequence>> Scheduler::remove_all() {
  std::vector<std::unique_ptr<Sequence>> all;
  for (auto& sequence : running_)
    if (sequence) all.push_back(std::move(sequence));
  for (auto& [key, sequence] : waiting_) all.push_back(std::move(sequence));
  running_.clear();
  waiting_.clear();
  return all;
}

void Scheduler::plan(FunctionRef<int64_t(int64_t, int64_t)> prompt_rows_for) {
  counts_.decode_rows = counts_.prompt_rows = 0;
  rows_left_ = options_.max_rows;
  for (auto& s : running_) s->rows = 0;
  plan_decodes();
  prompt_rows_left_ = std::min(rows_left_, prompt_rows_for(counts_.decode_rows, prompts()));
  plan_prompts();
  // Named before they are computed: a step writes all its keys and values of a layer before it
  // reads them, so that even sequences of the same step share.
  for (auto& s : running_)
    if (s->rows > 0 && s->shares_pages())
      s->pages.publish(s->history(), std::min(s->computed + s->rows, s->length),
                       s->request.cache_salt);
  admit();
}

void Scheduler::plan_decodes() {
  for (size_t i = 0; i < running_.size(); ++i) {
    Sequence& s = *running_[i];
    if (!s.decodes() || rows_left_ == 0) continue;
    if (!make_room(i, s.length)) {  // it is the last one
      preempt_last();
      return;
    }
    s.pages.grow(s.length);
    s.rows = 1;
    --rows_left_;
    ++counts_.decode_rows;
  }
  // Guesses only where rows and pages are left over: they delay nobody's next token.
  if (options_.speculation.num_speculative_tokens == 0) return;
  for (auto& s : running_)
    if (s->rows == 1) draft(*s);
}

void Scheduler::draft(Sequence& s) {
  s.drop_drafts();
  const int64_t wanted = s.request.sampling.max_tokens - s.output_tokens() - 1;
  const int64_t share = options_.max_rows / std::max<int64_t>(1, num_running()) - 1;
  const int64_t room = s.pages.capacity() + pool_.num_free() * pool_.page_tokens() - s.length;
  look_up_drafts(s.tokens, options_.speculation, std::min({wanted, share, room, rows_left_}));
  const int64_t drafts = s.num_drafts();
  s.pages.grow(s.length + drafts);
  s.rows += drafts;
  rows_left_ -= drafts;
  counts_.decode_rows += drafts;
  counts_.drafts += drafts > 0;
  counts_.drafted += drafts;
}

/// Sequences that have prompt rows to compute and a place, taken or free.
int64_t Scheduler::prompts() const {
  const auto streams =
      std::count_if(running_.begin(), running_.end(), [](const auto& s) { return s->rows > 0; });
  return std::min(num_running() + num_waiting(), options_.max_sequences) - streams;
}

void Scheduler::plan_prompts() {
  for (size_t i = 0; i < running_.size() && prompt_rows_left_ > 0; ++i) {
    Sequence& s = *running_[i];
    if (s.rows > 0) continue;
    const int64_t found = reuse(s) - s.computed;
    s.computed += found;
    count_hits(s, found);
    const int64_t rows = std::min(prompt_rows_left_, s.length - s.computed);
    make_room(i, s.computed + rows);
    plan_chunk(s, rows);
  }
}

/// The next rows of a prompt, at most `rows` and as many as pages are there for. A chunk that is
/// not the last ends a page if it can, where the next one may find the rest in the cache.
void Scheduler::plan_chunk(Sequence& s, int64_t rows) {
  const int64_t P = pool_.page_tokens();
  const int64_t room = s.pages.capacity() + pool_.num_free() * P - s.computed;
  rows = std::min(rows, room);
  const int64_t end = s.computed + rows, aligned = end / P * P;
  if (end < s.length && aligned > s.computed) rows = aligned - s.computed;
  s.pages.grow(s.computed + rows);
  s.rows = rows;
  rows_left_ -= rows;
  prompt_rows_left_ -= rows;
  counts_.prompt_rows += rows;
}

/// The highest position that the cache may give: the last row must be computed, its logits are
/// wanted, and so are all rows' of a prompt whose log-probabilities are.
int64_t Scheduler::reuse(Sequence& s) const {
  if (!s.shares_pages()) return s.computed;
  int64_t limit = s.length - 1;
  if (s.request.prompt_logprobs >= 0) limit = std::min(limit, s.prompt_reported);
  return s.pages.reuse(s.history(), s.computed, limit, s.request.cache_salt);
}

/// Pages that running sequences will still take for what they hold already.
int64_t Scheduler::pages_promised() const {
  int64_t pages = 0;
  for (const auto& s : running_) pages += s->pages.pages_to_hold(s->length);
  return pages;
}

bool Scheduler::can_admit(const Sequence& s) const {
  if (running_.empty()) return true;  // a single one always fits
  // Beside its prompt, a page for everybody's next tokens: who comes in does not throw others out.
  const int64_t spare = num_running() + 1;
  return s.pages.pages_to_hold(s.length) + pages_promised() + spare <= pool_.num_free();
}

void Scheduler::admit() {
  while (!waiting_.empty() && num_running() < options_.max_sequences && prompt_rows_left_ > 0) {
    Sequence& first = *waiting_.begin()->second;
    first.computed = reuse(first);
    if (!can_admit(first)) {  // nobody overtakes it
      first.pages.clear();
      first.computed = 0;
      return;
    }
    std::unique_ptr<Sequence> sequence = std::move(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
    start(std::move(sequence));
  }
}

/// Hits are of prompts; what a preempted sequence finds again is none.
void Scheduler::count_hits(Sequence& s, int64_t tokens) {
  if (s.preempted) return;
  s.cached_tokens += tokens;
  counts_.prefix_hits += tokens;
}

void Scheduler::start(std::unique_ptr<Sequence> sequence) {
  Sequence& s = *sequence;
  if (s.admitted == Sequence::Clock::time_point{}) {
    s.admitted = Sequence::Clock::now();
    ++counts_.admitted;
    if (s.shares_pages()) counts_.prefix_queries += s.length;
    count_hits(s, s.computed);
  }
  counts_.waiting_again -= s.preempted;
  plan_chunk(s, std::min(prompt_rows_left_, s.length - s.computed));
  if (s.shares_pages()) s.pages.publish(s.history(), s.computed + s.rows, s.request.cache_salt);
  const auto place =
      std::upper_bound(running_.begin(), running_.end(), precedence(s),
                       [](const Key& key, const auto& other) { return key < precedence(*other); });
  running_.insert(place, std::move(sequence));
}

/// Preempts those behind running_[index] until there are pages for its `num_tokens`; false if that
/// is not enough.
bool Scheduler::make_room(size_t index, int64_t num_tokens) {
  const Sequence& s = *running_[index];
  while (s.pages.pages_to_hold(num_tokens) > pool_.num_free()) {
    if (index + 1 == running_.size()) return false;
    preempt_last();
  }
  return true;
}

void Scheduler::preempt_last() {
  std::unique_ptr<Sequence> last = std::move(running_.back());
  running_.pop_back();
  rows_left_ += last->rows;
  if (last->rows > 0) counts_.decode_rows -= last->rows;  // prompts are planned in order
  last->rows = last->computed = 0;
  last->drop_drafts();
  last->pages.clear();
  last->preempted = true;
  ++counts_.preemptions;
  ++counts_.waiting_again;
  add(std::move(last));
}

}  // namespace moge::infer
