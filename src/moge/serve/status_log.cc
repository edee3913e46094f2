#include "moge/serve/status_log.h"

#include <algorithm>
#include <utility>

#include "moge/core/error.h"

namespace moge::serve {

std::optional<std::string> StatusLog::line(const infer::EngineStats& now, double seconds) {
  const auto rate = [&](int64_t count) { return static_cast<double>(count) / seconds; };
  const auto percent = [](int64_t part, int64_t whole) {
    return 100.0 * static_cast<double>(part) / static_cast<double>(std::max<int64_t>(1, whole));
  };
  const double prompt = rate(now.prompt_tokens - last_.prompt_tokens);
  const double output = rate(now.output_tokens - last_.output_tokens);
  last_ = now;
  const bool idle = now.running == 0 && now.waiting == 0 && prompt == 0 && output == 0;
  if (std::exchange(quiet_, idle) && idle) return {};
  return fmt::format(
      "Engine 000: Avg prompt throughput: {:.1f} tokens/s, Avg generation throughput: {:.1f} "
      "tokens/s, Running: {} reqs, Waiting: {} reqs, KV cache usage: {:.1f}%, Prefix cache hit "
      "rate: {:.1f}%",
      prompt, output, now.running, now.waiting, percent(now.pages_used, now.pages_total),
      percent(now.prefix_hits, now.prefix_queries));
}

}  // namespace moge::serve
