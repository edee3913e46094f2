#include "moge/serve/running.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include "moge/serve/api_error.h"
#include "moge/serve/connection.h"

namespace moge::serve {

Running::Running(const Service& service, const GenerateRequest& request,
                 std::vector<std::vector<int32_t>> prompts, asio::any_io_executor executor)
    : service_(service),
      queue_(std::make_shared<EventQueue<Event>>(std::move(executor))),
      skip_special_(request.skip_special_tokens),
      echo_(request.echo) {
  std::vector<infer::Request> requests;
  for (const std::vector<int32_t>& prompt : prompts)
    for (int i = 0; i < request.best_of; ++i)
      requests.push_back(service.make_request(request, prompt, i));
  start_all(std::move(requests));
  service.metrics->n.observe(request.n);
}

Running::Running(const Service& service, std::vector<infer::Request> requests,
                 asio::any_io_executor executor)
    : service_(service),
      queue_(std::make_shared<EventQueue<Event>>(std::move(executor))),
      skip_special_(true),
      echo_(false) {
  start_all(std::move(requests));
}

void Running::start_all(std::vector<infer::Request> requests) {
  try {
    for (infer::Request& request : requests) start(std::move(request));
  } catch (...) {  // the queue is full, say: what has been queued must not run for nobody
    leave();
    throw;
  }
  last_token_.resize(ids_.size());
}

void Running::start(infer::Request request) {
  const size_t index = ids_.size();
  std::vector<std::string> stops = request.sampling.stop;
  for (const std::string& stop : stops)
    if (stop.empty()) throw ApiError(400, "stop has an empty string", "stop");
  auto sink = std::make_shared<infer::TextSink>(
      service_.tokenizer, std::move(stops),
      [queue = queue_, index](infer::TextPiece piece) {
        queue->push({index, std::move(piece)});
        return true;
      },
      [queue = queue_, index](infer::TextEnd end) {
        queue->push({index, std::move(end)});
      },
      skip_special_);
  if (echo_ && !request.prompt.empty())
    sink->echo(
        std::span(request.prompt).first(request.prompt_logprobs >= 0 ? 1 : request.prompt.size()));
  const auto max_tokens = static_cast<double>(request.sampling.max_tokens);
  ids_.push_back(service_.submit(std::move(request), std::move(sink)));
  service_.metrics->max_tokens.observe(max_tokens);
}

void Running::leave() {
  for (infer::RequestId id : ids_) service_.engine.cancel(id);
  queue_->close();
}

asio::awaitable<Event> Running::next() {
  Event event = co_await queue_->pop();
  count(event);
  co_return event;
}

asio::awaitable<std::optional<Event>> Running::next_for(Connection& connection) {
  std::optional<Event> event = co_await queue_->pop_within(service_.silence);
  while (!event) {
    if (!co_await connection.keep_alive_comment()) co_return std::nullopt;
    event = co_await queue_->pop_within(service_.silence);
  }
  if (std::holds_alternative<ClientLeft>(event->what)) co_return std::nullopt;
  count(*event);
  co_return event;
}

void Running::count(const Event& event) {
  if (const auto* piece = std::get_if<infer::TextPiece>(&event.what); piece && !piece->of_prompt)
    count_piece(event);
  if (const auto* end = std::get_if<infer::TextEnd>(&event.what)) count_end(end->finish);
}

void Running::count_piece(const Event& event) {
  std::optional<Event::Clock::time_point>& last = last_token_[event.answer];
  if (last)
    service_.metrics->inter_token_latency.observe(
        std::chrono::duration<double>(event.at - *last).count());
  last = event.at;
}

void Running::count_end(const infer::FinishEvent& finish) {
  Metrics& metrics = *service_.metrics;
  if (finish.reason == infer::FinishReason::kStop) ++metrics.stopped;
  if (finish.reason == infer::FinishReason::kLength) ++metrics.at_length;
  const double first = finish.queue_s + finish.prompt_s;
  if (finish.output_tokens > 0) metrics.time_to_first_token.observe(first);
  metrics.e2e_latency.observe(first + finish.decode_s);
  metrics.queue_time.observe(finish.queue_s);
  metrics.prefill_time.observe(finish.prompt_s);
  metrics.decode_time.observe(finish.decode_s);
  metrics.inference_time.observe(finish.prompt_s + finish.decode_s);
  metrics.prompt_tokens.observe(static_cast<double>(finish.prompt_tokens));
  metrics.generation_tokens.observe(static_cast<double>(finish.output_tokens));
  if (finish.output_tokens > 1)
    metrics.time_per_output_token.observe(finish.decode_s /
                                          static_cast<double>(finish.output_tokens - 1));
}

std::vector<Answer> best_answers(std::vector<Answer> answers, int best_of, int n) {
  if (best_of == n) return answers;
  const auto mean_logprob = [](const Answer& answer) {
    double sum = 0, count = 0;
    for (const infer::TextPiece& piece : answer.pieces)
      if (!piece.of_prompt) sum += piece.logprob, ++count;
    return count > 0 ? sum / count : 0.0;
  };
  std::vector<Answer> best;
  for (size_t first = 0; first < answers.size(); first += static_cast<size_t>(best_of)) {
    const auto from = answers.begin() + static_cast<ptrdiff_t>(first);
    std::stable_sort(from, from + best_of, [&](const Answer& a, const Answer& b) {
      return mean_logprob(a) > mean_logprob(b);
    });
    std::move(from, from + n, std::back_inserter(best));
  }
  return best;
}

void split(const OutputForm& form, Answer& answer) {
  OutputParser parser(form);
  const auto add = [&](OutputParts parts) {
    std::move(parts.begin(), parts.end(), std::back_inserter(answer.parts));
  };
  for (const infer::TextPiece& piece : answer.pieces) add(parser.push_token(piece.text));
  add(parser.push(answer.end.text));
  add(parser.finish());
  answer.reasoning_tokens = parser.reasoning_tokens();
}

asio::awaitable<std::optional<std::vector<Answer>>> collect(Running& running) {
  std::vector<Answer> answers(running.count());
  for (size_t ended = 0; ended < answers.size();) {
    Event event = co_await running.next();
    if (std::holds_alternative<ClientLeft>(event.what)) co_return std::nullopt;
    Answer& answer = answers[event.answer];
    if (auto* piece = std::get_if<infer::TextPiece>(&event.what)) {
      if (piece->of_prompt && piece->rank > 0) answer.prompt.push_back(*piece);
      if (piece->of_prompt && !running.echoes()) continue;
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

}  // namespace moge::serve
