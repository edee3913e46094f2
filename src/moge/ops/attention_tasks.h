// How the attention ops cut their work: tasks of sequences of unlike lengths, scratch per worker.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "moge/core/integers.h"
#include "moge/kernels/attention.h"
#include "moge/ops/context.h"

namespace moge {

/// The kernels' tiles, one place for every worker.
class WorkerScratch {
 public:
  WorkerScratch(const Context& context, int64_t head_dim)
      : floats_(kernels::attention_scratch_floats(head_dim)),
        data_(context.scratch.allocate<float>(context.num_threads() * floats_)) {}
  float* of(int worker) const { return data_ + worker * floats_; }
  static size_t bytes(const Context& context, int64_t head_dim) {
    const int64_t floats = context.num_threads() * kernels::attention_scratch_floats(head_dim);
    return Arena::padded(static_cast<size_t>(floats) * sizeof(float));
  }

 private:
  int64_t floats_;
  float* data_;
};

/// Tasks numbered through over sequences, each with its own number of tasks.
class TaskList {
 public:
  /// tasks_of(s) for every s in [0, num_sequences); sequences without a task take no room.
  template <class TasksOf>
  TaskList(Arena& scratch, int64_t num_sequences, TasksOf tasks_of) {
    for (int64_t s = 0; s < num_sequences; ++s) size_ += tasks_of(s) > 0;
    entries_ = scratch.allocate<Entry>(size_);
    Entry* entry = entries_;
    for (int64_t s = 0; s < num_sequences; ++s)
      if (const int64_t tasks = tasks_of(s); tasks > 0) {
        *entry++ = {count_, s};
        count_ += tasks;
      }
  }
  int64_t count() const { return count_; }

  struct Place {
    int64_t sequence, index;  ///< index of the task within its sequence
  };
  Place find(int64_t task) const {
    const Entry* next = std::upper_bound(entries_, entries_ + size_, task,
                                         [](int64_t t, const Entry& e) { return t < e.first; });
    return {next[-1].sequence, task - next[-1].first};
  }
  /// At most `max_sequences` sequences with tasks.
  static size_t bytes(int64_t max_sequences) {
    return Arena::padded(static_cast<size_t>(max_sequences) * sizeof(Entry));
  }

 private:
  struct Entry {
    int64_t first, sequence;
  };
  Entry* entries_ = nullptr;
  int64_t size_ = 0, count_ = 0;
};

}  // namespace moge
