// What GET /metrics shows, in Prometheus' text format. Lives on the network's thread; of the engine
// it reads only the counters.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace moge::serve {

struct Service;

/// The bounds of a histogram: of times, of numbers of tokens, of answers.
using Bounds = std::array<double, 16>;
inline constexpr Bounds kSeconds = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1,  0.25,
                                    0.5,   1.0,   2.5,  5.0,  10.0, 30.0, 60.0, 300.0};
inline constexpr Bounds kTokens = {1,   2,    5,    10,   20,    50,    100,   200,
                                   500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};
inline constexpr Bounds kAnswers = {1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 128};

/// Counts of observations up to each bound, and their sum.
class Histogram {
 public:
  explicit Histogram(const Bounds& bounds = kSeconds) : bounds_(&bounds) {}
  void observe(double value);
  /// Appends the series of one metric; `labels` is what stands between the braces.
  void write(std::string& out, std::string_view name, std::string_view help,
             std::string_view labels) const;

 private:
  const Bounds* bounds_;
  std::array<int64_t, 17> counts_{};  // the last: above all bounds
  double sum_ = 0;
};

struct Metrics {
  Histogram time_to_first_token, inter_token_latency, time_per_output_token, e2e_latency;
  Histogram queue_time, prefill_time, decode_time, inference_time;
  Histogram prompt_tokens{kTokens}, generation_tokens{kTokens}, max_tokens{kTokens}, n{kAnswers};
  int64_t stopped = 0, at_length = 0;  ///< requests that ended so
};

/// vLLM's and llama.cpp's metrics of a service, each with its help and type.
std::string metrics_text(const Service& service);

}  // namespace moge::serve
