// A request to end cleanly: set by a signal or another thread, polled by long loops.
#pragma once

#include <atomic>

namespace moge {

class StopFlag {
 public:
  bool requested() const { return requested_.load(std::memory_order_relaxed); }
  void request() { requested_.store(true, std::memory_order_relaxed); }

 private:
  std::atomic<bool> requested_{false};
  static_assert(std::atomic<bool>::is_always_lock_free, "set from a signal handler");
};

}  // namespace moge
