// A client that asks a server of the OpenAI form many things at once and measures the answers: what
// `vllm bench serve` measures, by the same names.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace moge::serve {

/// One request to be sent and what came of it. Times in seconds.
struct LoadItem {
  std::string body;          ///< JSON
  int64_t input_tokens = 0;  ///< as far as they are known before
  double send_at = 0;        ///< after the start

  bool ok = false;
  std::string error;
  double began = 0, first_token = 0, ended = 0;  ///< after the start
  int64_t output_tokens = 0;
  std::vector<double> gaps;  ///< between two tokens
};

struct LoadTarget {
  std::string host = "127.0.0.1";
  int port = 8080;
  std::string path = "/v1/completions", api_key;
  int64_t max_concurrency = 0;  ///< 0: all that are due
  double timeout_s = 600;
};

/// "http://host:port" into host and port; throws Error for another form.
LoadTarget parse_url(const std::string& url);

struct Arrivals {
  double rate = std::numeric_limits<double>::infinity();  ///< requests per second
  double burstiness = 1;  ///< 1: Poisson; less: in bursts; more: evenly (gamma's shape)
  std::string ramp;       ///< "", "linear" or "exponential": the rate goes from start to end
  double start_rate = 0, end_rate = 0;
  uint64_t seed = 0;
};
/// When each of `count` requests is sent.
std::vector<double> arrival_times(int64_t count, const Arrivals& arrivals);

/// Sends all and waits for all; `done` is called after each answer. Returns the seconds it took.
double run_load(const LoadTarget& target, std::vector<LoadItem>& items,
                const std::function<void(int64_t done)>& done);

/// The figures under vLLM's keys; `percentiles` as 99 or 99.9.
nlohmann::ordered_json load_report(const std::vector<LoadItem>& items, double seconds,
                                   const std::vector<double>& percentiles);

}  // namespace moge::serve
