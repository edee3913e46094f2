// What GET /metrics shows, in Prometheus' text format. Lives on the network's thread; of the engine
// it reads only the counters.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace moge::serve {

struct Service;

/// Counts of observations up to each bound, and their sum.
class Histogram {
 public:
  void observe(double seconds);
  /// Appends the series of one metric; `labels` is what stands between the braces.
  void write(std::string& out, std::string_view name, std::string_view help,
             std::string_view labels) const;

 private:
  static constexpr std::array<double, 16> kBounds = {
      0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0};
  std::array<int64_t, kBounds.size() + 1> counts_{};  // the last: above all bounds
  double sum_ = 0;
};

struct Metrics {
  Histogram time_to_first_token, inter_token_latency, e2e_latency;
  Histogram queue_time, prefill_time, decode_time;
  int64_t stopped = 0, at_length = 0;  ///< requests that ended so
};

/// vLLM's and llama.cpp's metrics of a service, each with its help and type.
std::string metrics_text(const Service& service);

}  // namespace moge::serve
