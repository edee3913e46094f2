// Tasks in contiguous runs, one run a thread, so that each thread walks through memory in order;
// who is done helps the others.
#pragma once

#include <atomic>
#include <cstdint>
#include <new>

#include "moge/ops/context.h"

namespace moge {

class TaskRanges {
 public:
  /// cost(task) > 0 in any unit: runs of about equal cost.
  template <class Cost>
  TaskRanges(const Context& context, int64_t num_tasks, Cost cost)
      : threads_(context.threads), count_(context.num_threads()) {
    ranges_ = context.scratch.allocate<Range>(count_);
    int64_t total = 0, sum = 0, task = 0;
    for (int64_t i = 0; i < num_tasks; ++i) total += cost(i);
    for (int64_t w = 0; w < count_; ++w) {
      Range* range = new (ranges_ + w) Range{.next = task, .end = task};
      while (task < num_tasks && (w + 1 == count_ || sum * count_ < total * (w + 1)))
        sum += cost(task++);
      range->end = task;
    }
  }

  static size_t bytes(int threads) { return Arena::padded(threads * sizeof(Range)); }

  /// Calls body(task, worker) for every task once.
  template <class Body>
  void run(Body body) {
    threads_.parallel_for(count_, [&](int64_t first, int worker) {
      for (int64_t i = 0; i < count_; ++i) {
        Range& range = ranges_[(first + i) % count_];
        for (int64_t task; (task = range.next.fetch_add(1, std::memory_order_relaxed)) < range.end;)
          body(task, worker);
      }
    });
  }

 private:
  struct alignas(64) Range {
    std::atomic<int64_t> next;
    int64_t end;
  };
  ThreadPool& threads_;
  int64_t count_;
  Range* ranges_;
};

}  // namespace moge
