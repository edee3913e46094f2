// A request's answers on their way: what the engine's thread makes of them arrives as events on the
// network's thread.
#pragma once

#include "moge/serve/event_queue.h"  // before Boost's own

#include <chrono>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "moge/infer/text_sink.h"
#include "moge/serve/service.h"

namespace moge::serve {

class Connection;

struct ClientLeft {};

struct Event {
  using Clock = std::chrono::steady_clock;
  size_t answer = 0;
  std::variant<infer::TextPiece, infer::TextEnd, ClientLeft> what;
  Clock::time_point at = Clock::now();  // on the engine's thread
};

/// One answer as it grows.
struct Answer {
  std::string text;
  std::vector<infer::TextPiece> pieces;
  std::vector<infer::TextPiece> prompt;  ///< from its second token on; with prompt_logprobs
  infer::TextEnd end;
  OutputParts parts;             ///< of a chat's answer, by split()
  int64_t reasoning_tokens = 0;  ///< likewise
  bool begun = false;            ///< something of it has been sent
  int64_t characters = 0;        ///< of the text, as it is streamed
};

/// Splits a whole answer to a chat.
void split(const OutputForm& form, Answer& answer);

/// Cancels on destruction what still runs.
class Running {
 public:
  /// `request.best_of` answers for each prompt. Throws what Service::submit throws; then none runs.
  Running(const Service& service, const GenerateRequest& request,
          std::vector<std::vector<int32_t>> prompts, asio::any_io_executor executor);
  /// One answer for each of the engine's requests.
  Running(const Service& service, std::vector<infer::Request> requests,
          asio::any_io_executor executor);
  ~Running() { leave(); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  size_t count() const { return ids_.size(); }
  std::shared_ptr<EventQueue<Event>> queue() { return queue_; }
  bool echoes() const { return echo_; }

  /// The next event, counted in the service's metrics.
  asio::awaitable<Event> next();
  /// The same for a stream, whose client is told of every Service::silence without an event;
  /// nothing once it has left.
  asio::awaitable<std::optional<Event>> next_for(Connection& connection);

 private:
  void start_all(std::vector<infer::Request> requests);
  void leave();
  void count(const Event& event);
  void count_piece(const Event& event);
  void count_end(const infer::FinishEvent& finish);
  void start(infer::Request request);

  const Service& service_;
  std::shared_ptr<EventQueue<Event>> queue_;
  bool skip_special_, echo_;
  std::vector<infer::RequestId> ids_;
  std::vector<std::optional<Event::Clock::time_point>> last_token_;  // of each answer
};

/// Waits for all answers; nothing when the client has left. Throws ApiError 500 if one failed.
asio::awaitable<std::optional<std::vector<Answer>>> collect(Running& running);

/// Of every prompt's `best_of` answers the n whose tokens are likeliest on average, best first.
std::vector<Answer> best_answers(std::vector<Answer> answers, int best_of, int n);

}  // namespace moge::serve
