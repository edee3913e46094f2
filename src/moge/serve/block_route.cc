#include "moge/serve/block_route.h"

#include <boost/asio/this_coro.hpp>
#include <nlohmann/json.hpp>

#include "moge/serve/api_response.h"
#include "moge/serve/running.h"

namespace moge::serve {

namespace {

/// The blocks of an answer that grows, and the events that tell of it.
class GrowingAnswer {
 public:
  explicit GrowingAnswer(BlockApi& api) : api_(api) {}
  void add(const OutputParts& parts, NamedEvents& events) {
    for (const OutputPart& part : parts) add(part, events);
  }
  void end(const infer::TextEnd& end, int64_t reasoning_tokens, NamedEvents& events) {
    close_last(events);
    api_.end(blocks_, {end, reasoning_tokens}, events);
  }

 private:
  void add(const OutputPart& part, NamedEvents& events) {
    if (blocks_.empty() || !continues(blocks_.back(), part)) {
      close_last(events);
      blocks_.push_back(block_for(part));
      api_.open(blocks_.size() - 1, blocks_.back(), events);
    }
    if (part.kind == OutputPart::Kind::kCallName) return;
    blocks_.back().text += part.text;
    api_.add(blocks_.size() - 1, blocks_.back(), part.text, events);
  }
  void close_last(NamedEvents& events) {
    if (!blocks_.empty()) api_.close(blocks_.size() - 1, blocks_.back(), events);
  }

  BlockApi& api_;
  std::vector<AnswerBlock> blocks_;
};

asio::awaitable<bool> send_events(Connection& connection, const NamedEvents& events) {
  for (const Json& event : events) {
    const bool sent =
        co_await connection.event(dump(event), event["type"].get_ref<const std::string&>());
    if (!sent) co_return false;
  }
  co_return true;
}

asio::awaitable<void> stream(Connection& connection, const OutputForm& form, BlockApi& api,
                             Running& running) {
  OutputParser parser(form);
  GrowingAnswer answer(api);
  NamedEvents events;
  co_await connection.begin_events();
  api.begin(events);
  bool going = co_await send_events(connection, events);
  for (bool ended = false; going && !ended;) {
    const std::optional<Event> event = co_await running.next_for(connection);
    if (!event) co_return;
    events.clear();
    if (const auto* piece = std::get_if<infer::TextPiece>(&event->what))
      answer.add(parser.push_token(piece->text), events);
    if (const auto* end = std::get_if<infer::TextEnd>(&event->what)) {
      ended = true;
      answer.add(parser.push(end->text), events);
      answer.add(parser.finish(), events);
      if (end->finish.reason == infer::FinishReason::kError) {
        api.fail(end->finish.error, events);
      } else {
        answer.end(*end, parser.reasoning_tokens(), events);
      }
    }
    going = co_await send_events(connection, events);
  }
  if (going) co_await connection.end_events();
}

}  // namespace

asio::awaitable<void> answer_in_blocks(const Service& service, Connection& connection,
                                       const ChatRequest& request, PreparedChat chat,
                                       BlockApi& api) {
  std::vector<std::vector<int32_t>> prompts;
  prompts.push_back(std::move(chat.tokens));
  Running running(service, request, std::move(prompts), co_await asio::this_coro::executor);
  const auto watch =
      connection.watch([queue = running.queue()] { queue->push({.what = ClientLeft{}}); });
  if (request.stream) {
    co_await stream(connection, chat.form, api, running);
    co_return;
  }
  auto answers = co_await collect(running);
  watch->end();
  if (!answers) co_return;
  Answer& answer = answers->front();
  split(chat.form, answer);
  const Json whole = api.whole(blocks_of(answer.parts), {answer.end, answer.reasoning_tokens});
  co_await connection.send(200, "application/json", dump(whole));
}

}  // namespace moge::serve
