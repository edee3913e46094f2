#include "moge/runtime/profiler.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>

namespace moge {

namespace {
int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Belongs to the thread that calls ops, not to the process: two engines do not meet here.
thread_local Profiler* current = nullptr;
}  // namespace

ProfileScope::ProfileScope(Profiler* profiler) : before_(current) { current = profiler; }
ProfileScope::~ProfileScope() { current = before_; }
Profiler* current_profiler() { return current; }

std::string Profiler::Event::label() const {
  if (n == 0) return name;
  return experts > 1 ? fmt::format("{} {}x{}x{}", name, experts, n, k)
                     : fmt::format("{} {}x{}", name, n, k);
}

Profiler::Profiler(int64_t capacity) { events_.reserve(static_cast<size_t>(capacity)); }

void Profiler::begin(const char* name, int64_t experts, int64_t n, int64_t k) noexcept {
  const bool kept = depth_ < kMaxDepth && events_.size() < events_.capacity();
  if (kept) {
    open_[depth_] = events_.size();
    events_.push_back({name, experts, n, k, now_ns(), 0, 0, depth_});
  } else {
    if (depth_ < kMaxDepth) open_[depth_] = SIZE_MAX;
    ++dropped_;
  }
  ++depth_;
}

void Profiler::end() noexcept {
  --depth_;
  if (depth_ >= kMaxDepth || open_[depth_] == SIZE_MAX) return;
  Event& event = events_[open_[depth_]];
  event.end_ns = now_ns();
  if (depth_ > 0 && open_[depth_ - 1] != SIZE_MAX)
    events_[open_[depth_ - 1]].inner_ns += event.end_ns - event.begin_ns;
}

void Profiler::clear() {
  events_.clear();
  dropped_ = 0;
}

std::vector<Profiler::Row> Profiler::table(double total_s) const {
  std::map<std::string, Row> by_label;
  double rest = total_s * 1e3;
  for (const Event& event : events_) {
    Row& row = by_label[event.label()];
    const double ms = static_cast<double>(event.end_ns - event.begin_ns - event.inner_ns) / 1e6;
    ++row.calls;
    row.ms += ms;
    rest -= ms;
  }
  std::vector<Row> rows;
  by_label["between ops"].ms = std::max(rest, 0.0);
  for (auto& [label, row] : by_label) {
    row.label = label;
    row.percent = row.ms / (total_s * 1e3) * 100;
    rows.push_back(row);
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.ms > b.ms; });
  return rows;
}

std::string Profiler::chrome_trace() const {
  std::string text = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[";
  const int64_t start = events_.empty() ? 0 : events_.front().begin_ns;
  for (size_t i = 0; i < events_.size(); ++i) {
    const Event& e = events_[i];
    text += fmt::format(
        "{}\n{{\"name\":\"{}\",\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":{:.3f},"
        "\"dur\":{:.3f}}}",
        i ? "," : "", e.label(), static_cast<double>(e.begin_ns - start) / 1e3,
        static_cast<double>(e.end_ns - e.begin_ns) / 1e3);
  }
  return text + "\n]}\n";
}

}  // namespace moge
