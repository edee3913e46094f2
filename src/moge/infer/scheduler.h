// Who computes what in the next step: admission by pages, decoding rows first, prompts in chunks,
// preemption when pages run out. No thread, no model, no clock: plain decisions.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "moge/infer/kv_pages.h"
#include "moge/infer/prompt_lookup.h"
#include "moge/infer/sequence.h"
#include "moge/runtime/thread_pool.h"  // FunctionRef

namespace moge::infer {

struct SchedulerOptions {
  int64_t max_sequences = 64;
  int64_t max_rows = 512;  ///< in one step; at least max_sequences
  SpeculationOptions speculation;
};

/// What a plan holds, and what has happened since the start.
struct SchedulerCounts {
  int64_t decode_rows = 0, prompt_rows = 0;  ///< of the last plan
  int64_t admitted = 0;                      ///< for the first time
  int64_t preemptions = 0;
  int64_t waiting_again = 0;                    ///< now, preempted
  int64_t prefix_queries = 0, prefix_hits = 0;  ///< tokens, at admission
  int64_t drafts = 0, drafted = 0;              ///< guesses put into steps: runs of them, tokens
};

/// Order is (priority, arrival) everywhere: who stands first is admitted first, served first and
/// preempted last, so that the first one always advances. A sequence that is preempted keeps its
/// output and computes its rows again later; the bits are the same.
class Scheduler {
 public:
  Scheduler(PagePool& pool, SchedulerOptions options);

  void add(std::unique_ptr<Sequence> sequence);    ///< to those who wait
  std::unique_ptr<Sequence> remove(RequestId id);  ///< null: not here
  std::vector<std::unique_ptr<Sequence>> remove_all();

  /// Sets `rows` of every running sequence, with pages for them, after moving sequences in and
  /// out. `prompt_rows_for(decode_rows, prompts)` says how many prompt rows the step may carry for
  /// that many sequences, those that a place is free for.
  void plan(FunctionRef<int64_t(int64_t, int64_t)> prompt_rows_for);

  /// In order of precedence. The caller may take sequences out (leaving null) before sweep().
  std::vector<std::unique_ptr<Sequence>>& running() { return running_; }
  void sweep() { std::erase(running_, nullptr); }

  int64_t num_running() const { return static_cast<int64_t>(running_.size()); }
  int64_t num_waiting() const { return static_cast<int64_t>(waiting_.size()); }
  const SchedulerCounts& counts() const { return counts_; }

 private:
  using Key = std::pair<int64_t, RequestId>;

  void plan_decodes();
  void plan_prompts();
  int64_t prompts() const;
  void admit();
  bool can_admit(const Sequence& sequence) const;
  void start(std::unique_ptr<Sequence> sequence);
  void count_hits(Sequence& sequence, int64_t tokens);
  bool make_room(size_t index, int64_t num_tokens);
  void preempt_last();
  void draft(Sequence& sequence);
  void plan_chunk(Sequence& sequence, int64_t rows);
  int64_t reuse(Sequence& sequence) const;
  int64_t pages_promised() const;

  PagePool& pool_;
  SchedulerOptions options_;
  std::vector<std::unique_ptr<Sequence>> running_;
  std::map<Key, std::unique_ptr<Sequence>> waiting_;
  int64_t rows_left_ = 0, prompt_rows_left_ = 0;  // of the step being planned
  SchedulerCounts counts_;
};

}  // namespace moge::infer
