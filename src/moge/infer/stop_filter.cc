#include "moge/infer/stop_filter.h"

#include <algorithm>
#include <utility>

#include "moge/core/error.h"

namespace moge::infer {

StopFilter::StopFilter(std::vector<std::string> stops) : stops_(std::move(stops)) {
  for (const std::string& stop : stops_) check(!stop.empty(), "stop has an empty string");
}

/// Where the earliest stop string begins in pending_ (the longest one of those that begin there),
/// or npos.
size_t StopFilter::first_match(size_t& length) const {
  size_t first = std::string::npos;
  for (const std::string& stop : stops_) {
    const size_t at = pending_.find(stop);
    if (at == std::string::npos || at > first) continue;
    length = at < first ? stop.size() : std::max(length, stop.size());
    first = at;
  }
  return first;
}

/// Bytes at the end of pending_ that could be the beginning of a stop string.
size_t StopFilter::held_back() const {
  size_t longest = 0;
  for (const std::string& stop : stops_)
    for (size_t n = std::min(stop.size() - 1, pending_.size()); n > longest; --n)
      if (pending_.ends_with(std::string_view(stop).substr(0, n))) longest = n;
  return longest;
}

std::string StopFilter::push(std::string_view text) {
  if (!met_.empty()) return {};
  pending_ += text;
  size_t length = 0;
  if (const size_t at = first_match(length); at != std::string::npos) {
    met_ = pending_.substr(at, length);
    pending_.resize(at);
    return std::exchange(pending_, {});
  }
  const size_t ready = pending_.size() - held_back();
  std::string out = pending_.substr(0, ready);
  pending_.erase(0, ready);
  return out;
}

std::string StopFilter::flush() { return std::exchange(pending_, {}); }

}  // namespace moge::infer
