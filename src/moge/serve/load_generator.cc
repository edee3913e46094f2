#include "moge/serve/load_generator.h"

#include "moge/serve/asio.h"  // before Boost's own

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "moge/core/error.h"

namespace moge::serve {

namespace http = boost::beast::http;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

namespace {

/// Finds the lines "data: ..." in a body that comes in pieces.
class EventLines {
 public:
  template <class Take>
  void push(std::string_view piece, Take take) {
    text_ += piece;
    size_t begin = 0;
    for (size_t end; (end = text_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      std::string_view line = std::string_view(text_).substr(begin, end - begin);
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.starts_with("data:")) take(line.substr(line.starts_with("data: ") ? 6 : 5));
    }
    text_.erase(0, begin);
  }

 private:
  std::string text_;
};

class Load {
 public:
  Load(const LoadTarget& target, std::vector<LoadItem>& items,
       const std::function<void(int64_t)>& done)
      : target_(target), items_(items), done_(done) {
    const int64_t all = static_cast<int64_t>(items.size());
    free_ = target.max_concurrency > 0 ? std::min(target.max_concurrency, all) : all;
    tcp::resolver resolver(io_);
    beast::error_code error;
    endpoints_ = resolver.resolve(target.host, std::to_string(target.port), error);
    check(!error, "cannot find {}: {}", target.host, error.message());
  }

  double run() {
    start_ = Clock::now();
    asio::co_spawn(io_, send_all(), asio::detached);
    io_.run();
    return now();
  }

 private:
  double now() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  asio::awaitable<void> send_all() {
    asio::steady_timer timer(io_);
    beast::error_code ignored;
    for (LoadItem& item : items_) {
      timer.expires_at(start_ + std::chrono::duration_cast<Clock::duration>(
                                    std::chrono::duration<double>(item.send_at)));
      co_await timer.async_wait(into(ignored));
      while (free_ == 0) {
        freed_.expires_at(Clock::time_point::max());
        co_await freed_.async_wait(into(ignored));
      }
      --free_;
      asio::co_spawn(io_, send(item), asio::detached);
    }
  }

  asio::awaitable<void> send(LoadItem& item) {
    item.began = now();
    try {
      co_await ask(item);
    } catch (const std::exception& error) {
      item.ok = false;
      item.error = error.what();
    }
    item.ended = now();
    ++free_;
    freed_.cancel();
    done_(++finished_);
  }

  asio::awaitable<void> ask(LoadItem& item) {
    beast::tcp_stream stream(io_);
    stream.expires_after(std::chrono::milliseconds(static_cast<int64_t>(target_.timeout_s * 1e3)));
    co_await stream.async_connect(endpoints_, asio::use_awaitable);
    http::request<http::string_body> request(http::verb::post, target_.path, 11);
    request.set(http::field::host, target_.host);
    request.set(http::field::content_type, "application/json");
    if (!target_.api_key.empty())
      request.set(http::field::authorization, "Bearer " + target_.api_key);
    request.keep_alive(false);
    request.body() = item.body;
    request.prepare_payload();
    co_await http::async_write(stream, request, asio::use_awaitable);
    co_await read_answer(stream, item);
  }

  asio::awaitable<void> read_answer(beast::tcp_stream& stream, LoadItem& item) {
    beast::flat_buffer buffer;
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(std::numeric_limits<uint64_t>::max());
    co_await http::async_read_header(stream, buffer, parser, asio::use_awaitable);
    const unsigned status = parser.get().result_int();
    EventLines lines;
    std::string first_bytes;
    double last = 0;
    int64_t chunks = 0;
    bool complete = false;
    char block[8192];
    while (!parser.is_done()) {
      parser.get().body().data = block;
      parser.get().body().size = sizeof(block);
      beast::error_code error;
      co_await http::async_read_some(stream, buffer, parser, into(error));
      if (error == http::error::need_buffer) error = {};
      if (error) throw Error(error.message());
      const std::string_view piece(block, sizeof(block) - parser.get().body().size);
      if (first_bytes.size() < 200) first_bytes += piece;
      lines.push(piece, [&](std::string_view data) {
        if (data == "[DONE]") complete = true;
        if (!take_event(data, item)) return;
        const double at = now();
        if (chunks++ == 0) item.first_token = at;
        if (chunks > 1) item.gaps.push_back(at - last);
        last = at;
      });
    }
    if (item.output_tokens == 0) item.output_tokens = chunks;
    item.ok = status == 200 && complete && chunks > 0;
    if (!item.ok && item.error.empty()) item.error = std::to_string(status) + " " + first_bytes;
  }

  /// Whether the event brings a token.
  static bool take_event(std::string_view data, LoadItem& item) {
    const auto event = nlohmann::json::parse(data, nullptr, /*allow_exceptions=*/false);
    if (!event.is_object()) return false;
    if (event.contains("error")) item.error = std::string(data);
    if (const auto usage = event.find("usage"); usage != event.end() && usage->is_object()) {
      item.output_tokens = usage->value("completion_tokens", item.output_tokens);
      item.input_tokens = usage->value("prompt_tokens", item.input_tokens);
    }
    const auto choices = event.find("choices");
    if (choices == event.end() || !choices->is_array() || choices->empty()) return false;
    const auto& choice = choices->front();
    if (choice.contains("text")) return choice.value("finish_reason", nlohmann::json()).is_null();
    const auto delta = choice.find("delta");
    return delta != choice.end() && delta->is_object() && !delta->contains("role") &&
           !delta->empty();
  }

  const LoadTarget& target_;
  std::vector<LoadItem>& items_;
  const std::function<void(int64_t)>& done_;
  asio::io_context io_{1};
  tcp::resolver::results_type endpoints_;
  asio::steady_timer freed_{io_};
  int64_t free_ = 0, finished_ = 0;
  Clock::time_point start_;
};

using Json = nlohmann::ordered_json;

std::string name_of(double percentile) {
  return percentile == std::floor(percentile) ? fmt::format("p{:.0f}", percentile)
                                              : fmt::format("p{}", percentile);
}

double percentile_of(const std::vector<double>& sorted, double percentile) {
  if (sorted.empty()) return 0;
  const double at = percentile / 100 * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - std::floor(at)) * (sorted[high] - sorted[low]);
}

void add_summary(Json& report, const char* name, std::vector<double> seconds,
                 const std::vector<double>& percentiles) {
  std::sort(seconds.begin(), seconds.end());
  double sum = 0, squares = 0;
  for (double s : seconds) sum += s;
  const double mean = seconds.empty() ? 0 : sum / static_cast<double>(seconds.size());
  for (double s : seconds) squares += (s - mean) * (s - mean);
  const double deviation =
      seconds.empty() ? 0 : std::sqrt(squares / static_cast<double>(seconds.size()));
  report[fmt::format("mean_{}_ms", name)] = mean * 1e3;
  report[fmt::format("median_{}_ms", name)] = percentile_of(seconds, 50) * 1e3;
  report[fmt::format("std_{}_ms", name)] = deviation * 1e3;
  for (double p : percentiles)
    report[fmt::format("{}_{}_ms", name_of(p), name)] = percentile_of(seconds, p) * 1e3;
}

}  // namespace

LoadTarget parse_url(const std::string& url) {
  LoadTarget target;
  constexpr std::string_view kScheme = "http://";
  check(url.starts_with(kScheme), "--url '{}' does not begin with http://", url);
  std::string rest = url.substr(kScheme.size());
  rest = rest.substr(0, rest.find('/'));
  const size_t colon = rest.rfind(':');
  target.host = rest.substr(0, colon);
  target.port = 80;
  if (colon != std::string::npos) {
    const std::string port = rest.substr(colon + 1);
    check(!port.empty() && port.size() < 6 &&
              port.find_first_not_of("0123456789") == std::string::npos,
          "--url '{}' has no port number behind the colon", url);
    target.port = std::stoi(port);
  }
  check(!target.host.empty(), "--url '{}' names no host", url);
  return target;
}

std::vector<double> arrival_times(int64_t count, const Arrivals& arrivals) {
  std::vector<double> times;
  std::mt19937_64 random(arrivals.seed);
  std::gamma_distribution<double> gap(arrivals.burstiness, 1 / arrivals.burstiness);  // mean 1
  double at = 0;
  for (int64_t i = 0; i < count; ++i) {
    double rate = arrivals.rate;
    const double done =
        static_cast<double>(i) / static_cast<double>(std::max<int64_t>(1, count - 1));
    if (arrivals.ramp == "linear")
      rate = arrivals.start_rate + (arrivals.end_rate - arrivals.start_rate) * done;
    if (arrivals.ramp == "exponential")
      rate = arrivals.start_rate * std::pow(arrivals.end_rate / arrivals.start_rate, done);
    times.push_back(at);
    if (std::isfinite(rate)) at += gap(random) / rate;
  }
  return times;
}

double run_load(const LoadTarget& target, std::vector<LoadItem>& items,
                const std::function<void(int64_t done)>& done) {
  return Load(target, items, done).run();
}

Json load_report(const std::vector<LoadItem>& items, double seconds,
                 const std::vector<double>& percentiles) {
  int64_t completed = 0, input = 0, output = 0;
  std::vector<double> first, per_token, gaps, whole;
  for (const LoadItem& item : items) {
    if (!item.ok) continue;
    ++completed;
    input += item.input_tokens;
    output += item.output_tokens;
    first.push_back(item.first_token - item.began);
    whole.push_back(item.ended - item.began);
    if (item.output_tokens > 1)
      per_token.push_back((item.ended - item.first_token) /
                          static_cast<double>(item.output_tokens - 1));
    gaps.insert(gaps.end(), item.gaps.begin(), item.gaps.end());
  }
  const auto rate = [&](int64_t n) { return static_cast<double>(n) / seconds; };
  Json report = {{"duration", seconds},
                 {"completed", completed},
                 {"failed", static_cast<int64_t>(items.size()) - completed},
                 {"total_input_tokens", input},
                 {"total_output_tokens", output},
                 {"request_throughput", rate(completed)},
                 {"output_throughput", rate(output)},
                 {"total_token_throughput", rate(input + output)}};
  add_summary(report, "ttft", first, percentiles);
  add_summary(report, "tpot", per_token, percentiles);
  add_summary(report, "itl", gaps, percentiles);
  add_summary(report, "e2el", whole, percentiles);
  return report;
}

}  // namespace moge::serve
