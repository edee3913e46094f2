// Where a step's time goes: ops note their begin and end on the thread that calls them. Without a
// profiler a timer is one test of a pointer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moge {

class Profiler {
 public:
  struct Event {
    const char* name = "";                           ///< a literal
    int64_t experts = 0, n = 0, k = 0;               ///< of a product's weight; 0: none
    int64_t begin_ns = 0, end_ns = 0, inner_ns = 0;  ///< inner: within nested events
    int depth = 0;

    std::string label() const;  ///< "linear 64x2048x1024", "rmsnorm"
  };

  /// At most so many events are kept; later ones are counted only.
  explicit Profiler(int64_t capacity = 1 << 20);

  void begin(const char* name, int64_t experts, int64_t n, int64_t k) noexcept;
  void end() noexcept;
  void clear();
  const std::vector<Event>& events() const { return events_; }
  int64_t dropped() const { return dropped_; }

  struct Row {
    std::string label;
    int64_t calls = 0;
    double ms = 0, percent = 0;  ///< own time, of `total`
  };
  /// By label, longest first; the rest up to `total_s` is "between ops".
  std::vector<Row> table(double total_s) const;
  /// Chrome's trace format (chrome://tracing, ui.perfetto.dev).
  std::string chrome_trace() const;

 private:
  static constexpr int kMaxDepth = 16;
  std::vector<Event> events_;
  size_t open_[kMaxDepth] = {};
  int depth_ = 0;
  int64_t dropped_ = 0;
};

/// Ops that this thread calls note themselves in `profiler` until the end of the scope.
class ProfileScope {
 public:
  explicit ProfileScope(Profiler* profiler);
  ~ProfileScope();
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

 private:
  Profiler* before_;
};
Profiler* current_profiler();  ///< of this thread, or null

/// An op from here to the end of its scope.
class OpTimer {
 public:
  explicit OpTimer(const char* name, int64_t experts = 0, int64_t n = 0, int64_t k = 0)
      : profiler_(current_profiler()) {
    if (profiler_) profiler_->begin(name, experts, n, k);
  }
  ~OpTimer() {
    if (profiler_) profiler_->end();
  }
  OpTimer(const OpTimer&) = delete;
  OpTimer& operator=(const OpTimer&) = delete;

 private:
  Profiler* profiler_;
};

}  // namespace moge
