#include "moge/serve/llama_route.h"

#include <boost/asio/this_coro.hpp>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "moge/serve/api_response.h"
#include "moge/serve/request_fields.h"
#include "moge/serve/running.h"
#include "moge/serve/structured_output.h"

namespace moge::serve {

namespace {

/// The same request in OpenAI's words.
CompletionRequest openai_request(const Json& body) {
  Json same = body;
  same.erase("max_tokens");
  same.erase("logprobs");
  if (const int64_t tokens = read_integer(body, "n_predict", -1); tokens >= 0)
    same["max_tokens"] = tokens;
  if (const int64_t n = read_integer_between(body, "n_probs", 0, 0, 20); n > 0)
    same["logprobs"] = n;
  if (find(body, "temperature") == nullptr) same["temperature"] = 0.8;  // llama.cpp's default
  CompletionRequest request = completion_request_of(same);
  if (!same.contains("max_tokens")) request.max_tokens.reset();  // as many as the context holds
  return request;
}

const char* stop_type(const infer::TextEnd& end) {
  if (end.finish.reason == infer::FinishReason::kLength) return "limit";
  return end.stop.empty() ? "eos" : "word";
}

Json last_json(const Service& service, const Answer& answer, const std::string& text) {
  const infer::FinishEvent& finish = answer.end.finish;
  return {{"index", 0},
          {"content", text},
          {"id_slot", 0},
          {"stop", true},
          {"model", service.model_name},
          {"tokens_predicted", finish.output_tokens},
          {"tokens_evaluated", finish.prompt_tokens},
          {"tokens_cached", finish.cached_tokens},
          {"truncated", false},
          {"stop_type", stop_type(answer.end)},
          {"stopping_word", answer.end.stop},
          {"timings", timings(finish)}};
}

/// What n_probs asks for, of each token.
Json probabilities(const Service& service, std::span<const infer::TextPiece> pieces) {
  Json all = Json::array();
  for (const infer::TextPiece& piece : pieces)
    all.push_back(token_logprobs(service.tokenizer, piece, /*with_ids=*/true));
  return all;
}

asio::awaitable<void> stream(const Service& service, Connection& connection, Running& running,
                             bool wants_probabilities) {
  co_await connection.begin_events();
  while (true) {
    const std::optional<Event> event = co_await running.next_for(connection);
    if (!event) co_return;
    if (const auto* piece = std::get_if<infer::TextPiece>(&event->what)) {
      Json chunk = {{"index", 0},
                    {"content", piece->text},
                    {"tokens", {piece->id}},
                    {"stop", false},
                    {"id_slot", 0}};
      if (wants_probabilities)
        chunk["completion_probabilities"] = probabilities(service, {piece, 1});
      if (!co_await connection.event(dump(chunk))) co_return;
    } else if (const auto* end = std::get_if<infer::TextEnd>(&event->what)) {
      const bool failed = end->finish.reason == infer::FinishReason::kError;
      const Answer answer{.end = *end};
      const std::string last = failed ? ApiError(500, end->finish.error).body()
                                      : dump(last_json(service, answer, end->text));
      co_await connection.event(last);
      break;
    }
  }
  co_await connection.end_events();
}

}  // namespace

asio::awaitable<void> llama_completion(const Service& service, Connection& connection,
                                       const std::string& body) {
  CompletionRequest request = openai_request(parse_body(body));
  require(request.prompts.size() == 1 && request.n == 1, "prompt",
          "prompt is a list of prompts; /completion answers one");
  std::vector<std::vector<int32_t>> prompts{service.tokens_of(request.prompts.front())};
  co_await compile_output_format(service, request, {});
  Running running(service, request, std::move(prompts), co_await asio::this_coro::executor);
  const auto watch =
      connection.watch([queue = running.queue()] { queue->push({.what = ClientLeft{}}); });
  const bool wants_probabilities = request.sampling.num_logprobs > 0;
  if (request.stream) {
    co_await stream(service, connection, running, wants_probabilities);
    co_return;
  }
  const auto answers = co_await collect(running);
  watch->end();
  if (!answers) co_return;
  const Answer& answer = answers->front();
  Json whole = last_json(service, answer, answer.text);
  for (const infer::TextPiece& piece : answer.pieces) whole["tokens"].push_back(piece.id);
  if (wants_probabilities)
    whole["completion_probabilities"] = probabilities(service, answer.pieces);
  co_await connection.send(200, "application/json", dump(whole));
}

}  // namespace moge::serve
