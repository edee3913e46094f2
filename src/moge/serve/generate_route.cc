#include "moge/serve/generate_route.h"

#include <boost/asio/this_coro.hpp>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "moge/serve/api_error.h"
#include "moge/serve/running.h"

namespace moge::serve {

namespace {

/// Writes what one event means to a streaming client; false when it has left.
asio::awaitable<bool> write_completion(Connection& connection, const ResponseWriter& writer,
                                       const Event& event, Answer& answer) {
  const int index = static_cast<int>(event.answer);
  if (const auto* piece = std::get_if<infer::TextPiece>(&event.what)) {
    const int64_t offset = answer.characters;
    answer.characters += count_characters(piece->text);
    co_return co_await connection.event(dump(writer.piece_chunk(index, *piece, offset)));
  }
  co_return co_await connection.event(dump(writer.end_chunk(index, answer.end, answer.characters)));
}

asio::awaitable<bool> write_chat(Connection& connection, const ResponseWriter& writer,
                                 const Event& event, Answer& answer, OutputParser& parser) {
  const int index = static_cast<int>(event.answer);
  const auto* piece = std::get_if<infer::TextPiece>(&event.what);
  if (!std::exchange(answer.begun, true) &&
      !co_await connection.event(dump(writer.role_chunk(index))))
    co_return false;
  if (piece) {
    const Json chunk = writer.chat_chunk(index, parser.push_token(piece->text), *piece);
    co_return co_await connection.event(dump(chunk));
  }
  OutputParts parts = parser.push(answer.end.text);
  for (OutputPart& part : parser.finish()) parts.push_back(std::move(part));
  answer.reasoning_tokens = parser.reasoning_tokens();
  const Json chunk = writer.chat_end_chunk(index, parts, answer.end, parser.calls());
  co_return co_await connection.event(dump(chunk));
}

asio::awaitable<void> stream(Connection& connection, const ResponseWriter& writer, ApiKind kind,
                             const GenerateRequest& request, const OutputForm& form,
                             Running& running) {
  std::vector<Answer> answers(running.count());
  std::vector<OutputParser> parsers(answers.size(), OutputParser(form));
  co_await connection.begin_events();
  for (size_t ended = 0; ended < answers.size();) {
    const std::optional<Event> event = co_await running.next_for(connection);
    if (!event) co_return;
    Answer& answer = answers[event->answer];
    if (const auto* end = std::get_if<infer::TextEnd>(&event->what)) {
      answer.end = *end;
      ++ended;
    }
    bool written = false;  // GCC 12 runs both sides of ?: where they wait
    if (answer.end.finish.reason == infer::FinishReason::kError) {
      written = co_await connection.event(ApiError(500, answer.end.finish.error).body());
    } else if (kind == ApiKind::kChat) {
      written = co_await write_chat(connection, writer, *event, answer, parsers[event->answer]);
    } else {
      written = co_await write_completion(connection, writer, *event, answer);
    }
    if (!written) co_return;
  }
  if (request.include_usage) co_await connection.event(dump(writer.usage_chunk(answers)));
  co_await connection.event("[DONE]");
  co_await connection.end_events();
}

}  // namespace

asio::awaitable<void> generate(const Service& service, Connection& connection, ApiKind kind,
                               const GenerateRequest& request,
                               std::vector<std::vector<int32_t>> prompts, const OutputForm& form) {
  Running running(service, request, std::move(prompts), co_await asio::this_coro::executor);
  const ResponseWriter writer(service, kind, request);
  const auto watch =
      connection.watch([queue = running.queue()] { queue->push({.what = ClientLeft{}}); });
  if (request.stream) {
    co_await stream(connection, writer, kind, request, form, running);
    co_return;
  }
  auto answers = co_await collect(running);
  watch->end();
  if (!answers) co_return;
  auto best = best_answers(std::move(*answers), request.best_of, request.n);
  if (kind == ApiKind::kChat)
    for (Answer& answer : best) split(form, answer);
  co_await connection.send(200, "application/json", dump(writer.whole(best)));
}

}  // namespace moge::serve
