#include "moge/serve/generate_route.h"

#include <atomic>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <variant>

#include "moge/serve/api_error.h"
#include "moge/serve/event_queue.h"

namespace moge::serve {

namespace {

struct ClientLeft {};

using Clock = std::chrono::steady_clock;

struct Event {
  size_t answer = 0;
  std::variant<infer::TextPiece, infer::TextEnd, ClientLeft> what;
  Clock::time_point at = Clock::now();  // on the engine's thread
};

/// A request's answers in the engine. Cancels on destruction what still runs.
class Running {
 public:
  Running(const Service& service, const GenerateRequest& request,
          std::vector<std::vector<int32_t>> prompts, asio::any_io_executor executor)
      : service_(service), queue_(std::make_shared<EventQueue<Event>>(std::move(executor))) {
    try {
      for (const std::vector<int32_t>& prompt : prompts)
        for (int i = 0; i < request.n; ++i) start(service.make_request(request, prompt, i));
    } catch (...) {  // the queue is full, say: what has been queued must not run for nobody
      leave();
      throw;
    }
    last_token_.resize(ids_.size());
  }
  ~Running() { leave(); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  size_t count() const { return ids_.size(); }
  std::shared_ptr<EventQueue<Event>> queue() { return queue_; }

  /// The next event, counted in the service's metrics.
  asio::awaitable<Event> next() {
    Event event = co_await queue_->pop();
    if (std::holds_alternative<infer::TextPiece>(event.what)) {
      std::optional<Clock::time_point>& last = last_token_[event.answer];
      if (last)
        service_.metrics->inter_token_latency.observe(
            std::chrono::duration<double>(event.at - *last).count());
      last = event.at;
    } else if (const auto* end = std::get_if<infer::TextEnd>(&event.what)) {
      count_end(end->finish);
    }
    co_return event;
  }

 private:
  void leave() {
    for (infer::RequestId id : ids_) service_.engine.cancel(id);
    queue_->close();
  }

  void count_end(const infer::FinishEvent& finish) {
    Metrics& metrics = *service_.metrics;
    if (finish.reason == infer::FinishReason::kStop) ++metrics.stopped;
    if (finish.reason == infer::FinishReason::kLength) ++metrics.at_length;
    const double first = finish.queue_s + finish.prompt_s;
    if (finish.output_tokens > 0) metrics.time_to_first_token.observe(first);
    metrics.e2e_latency.observe(first + finish.decode_s);
  }

  void start(infer::Request request) {
    const size_t index = ids_.size();
    std::vector<std::string> stops = request.sampling.stop;
    auto sink = std::make_shared<infer::TextSink>(
        service_.tokenizer, std::move(stops),
        [queue = queue_, index](infer::TextPiece piece) {
          queue->push({index, std::move(piece)});
          return true;
        },
        [queue = queue_, index](infer::TextEnd end) {
          queue->push({index, std::move(end)});
        });
    ids_.push_back(service_.submit(std::move(request), std::move(sink)));
  }

  const Service& service_;
  std::shared_ptr<EventQueue<Event>> queue_;
  std::vector<infer::RequestId> ids_;
  std::vector<std::optional<Clock::time_point>> last_token_;  // of each answer
};

/// Writes what one event means to a streaming client; false when it has left.
asio::awaitable<bool> write_event(Connection& connection, const ResponseWriter& writer,
                                  ApiKind kind, const Event& event, Answer& answer) {
  const int index = static_cast<int>(event.answer);
  if (const auto* piece = std::get_if<infer::TextPiece>(&event.what)) {
    const bool first = answer.pieces.empty() && answer.text.empty();
    if (first && kind == ApiKind::kChat &&
        !co_await connection.event(dump(writer.role_chunk(index))))
      co_return false;
    const auto offset = static_cast<int64_t>(answer.text.size());
    answer.text += piece->text;
    answer.pieces.push_back({.id = piece->id});  // only that there was one is needed
    co_return co_await connection.event(dump(writer.piece_chunk(index, *piece, offset)));
  }
  const auto& end = std::get<infer::TextEnd>(event.what);
  answer.end = end;
  if (end.finish.reason == infer::FinishReason::kError)
    co_return co_await connection.event(ApiError(500, end.finish.error).body());
  co_return co_await connection.event(dump(writer.end_chunk(index, end)));
}

asio::awaitable<void> stream(Connection& connection, const ResponseWriter& writer, ApiKind kind,
                             const GenerateRequest& request, Running& running) {
  std::vector<Answer> answers(running.count());
  co_await connection.begin_events();
  for (size_t ended = 0; ended < answers.size();) {
    const Event event = co_await running.next();
    if (std::holds_alternative<ClientLeft>(event.what)) co_return;
    if (!co_await write_event(connection, writer, kind, event, answers[event.answer])) co_return;
    if (std::holds_alternative<infer::TextEnd>(event.what)) ++ended;
  }
  if (request.include_usage) co_await connection.event(dump(writer.usage_chunk(answers)));
  co_await connection.event("[DONE]");
  co_await connection.end_events();
}

/// Waits for all answers; nothing when the client has left.
asio::awaitable<std::optional<std::vector<Answer>>> collect(Running& running) {
  std::vector<Answer> answers(running.count());
  for (size_t ended = 0; ended < answers.size();) {
    Event event = co_await running.next();
    Answer& answer = answers[event.answer];
    if (std::holds_alternative<ClientLeft>(event.what)) co_return std::nullopt;
    if (auto* piece = std::get_if<infer::TextPiece>(&event.what)) {
      answer.text += piece->text;
      answer.pieces.push_back(std::move(*piece));
      continue;
    }
    answer.end = std::get<infer::TextEnd>(std::move(event.what));
    answer.text += answer.end.text;
    if (answer.end.finish.reason == infer::FinishReason::kError)
      throw ApiError(500, answer.end.finish.error);
    ++ended;
  }
  co_return answers;
}

}  // namespace

asio::awaitable<void> generate(const Service& service, Connection& connection, ApiKind kind,
                               const GenerateRequest& request,
                               std::vector<std::vector<int32_t>> prompts) {
  Running running(service, request, std::move(prompts), co_await asio::this_coro::executor);
  const ResponseWriter writer(service, kind, request);
  const auto watch =
      connection.watch([queue = running.queue()] { queue->push({.what = ClientLeft{}}); });
  if (request.stream) {
    co_await stream(connection, writer, kind, request, running);
    co_return;
  }
  const auto answers = co_await collect(running);
  watch->end();
  if (answers) co_await connection.send(200, "application/json", dump(writer.whole(*answers)));
}

}  // namespace moge::serve
