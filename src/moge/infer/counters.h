// What the engine has done, written by its thread and read by any other without waiting.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "moge/infer/engine.h"

namespace moge::infer {

/// Each is right by itself; two read together may be a step apart.
struct Counters {
  std::atomic<int64_t> running{0}, queued{0}, preempted{0}, pages_used{0};
  std::atomic<int64_t> prompt_tokens{0}, output_tokens{0};
  std::atomic<int64_t> steps{0}, finished{0}, preemptions{0};
  std::atomic<int64_t> prefix_queries{0}, prefix_hits{0};
  std::atomic<int64_t> drafts{0}, drafted_tokens{0}, accepted_tokens{0}, longest{0};
  std::atomic<int64_t> prompt_ns{0}, decode_ns{0}, model_ns{0}, observer_ns{0};
  std::atomic<int64_t> step_rows{0};
  std::array<std::atomic<int64_t>, 17> steps_by_rows{};

  static void add(std::atomic<int64_t>& counter, int64_t count) {
    counter.fetch_add(count, std::memory_order_relaxed);
  }
  static void set(std::atomic<int64_t>& counter, int64_t value) {
    counter.store(value, std::memory_order_relaxed);
  }
  EngineStats read() const {
    const auto get = [](const std::atomic<int64_t>& counter) {
      return counter.load(std::memory_order_relaxed);
    };
    EngineStats stats{.running = get(running),
                      .waiting = get(queued) + get(preempted),
                      .pages_used = get(pages_used),
                      .prompt_tokens = get(prompt_tokens),
                      .output_tokens = get(output_tokens),
                      .steps = get(steps),
                      .finished = get(finished),
                      .preemptions = get(preemptions),
                      .prefix_queries = get(prefix_queries),
                      .prefix_hits = get(prefix_hits),
                      .drafts = get(drafts),
                      .drafted_tokens = get(drafted_tokens),
                      .accepted_tokens = get(accepted_tokens),
                      .longest = get(longest),
                      .prompt_s = static_cast<double>(get(prompt_ns)) * 1e-9,
                      .decode_s = static_cast<double>(get(decode_ns)) * 1e-9,
                      .model_s = static_cast<double>(get(model_ns)) * 1e-9,
                      .observer_s = static_cast<double>(get(observer_ns)) * 1e-9,
                      .step_rows = get(step_rows)};
    for (size_t i = 0; i < stats.steps_by_rows.size(); ++i)
      stats.steps_by_rows[i] = get(steps_by_rows[i]);
    return stats;
  }
};

}  // namespace moge::infer
