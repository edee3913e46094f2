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
