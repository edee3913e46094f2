#include "moge/serve/chat_routes.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "moge/serve/block_route.h"
#include "moge/serve/generate_route.h"
#include "moge/serve/messages_api.h"
#include "moge/serve/messages_request.h"
#include "moge/serve/responses_api.h"
#include "moge/serve/responses_request.h"
#include "moge/serve/structured_output.h"

namespace moge::serve {

asio::awaitable<void> chat_completions(const Service& service, Connection& connection,
                                       const std::string& body) {
  ChatRequest request = parse_chat_request(body);
  PreparedChat chat = service.prepare(request);
  co_await compile_output_format(service, request, chat.form);
  std::vector<std::vector<int32_t>> prompts;
  prompts.push_back(std::move(chat.tokens));
  co_await generate(service, connection, ApiKind::kChat, request, std::move(prompts), chat.form);
}

asio::awaitable<void> messages(const Service& service, Connection& connection,
                               const std::string& body) {
  ChatRequest request = parse_messages_request(body);
  PreparedChat chat = service.prepare(request);
  co_await compile_output_format(service, request, chat.form);
  MessagesApi api(service.model_name, static_cast<int64_t>(chat.tokens.size()));
  co_await answer_in_blocks(service, connection, request, std::move(chat), api);
}

asio::awaitable<void> responses(const Service& service, Connection& connection,
                                const std::string& body) {
  ResponsesRequest request = parse_responses_request(body);
  PreparedChat chat = service.prepare(request.chat);
  if (request.chat.asked_format && request.chat.asked_format->field == "response_format")
    request.chat.asked_format->field = "text.format";
  co_await compile_output_format(service, request.chat, chat.form);
  ResponsesApi api(service.model_name, request.echo_json, static_cast<int64_t>(chat.tokens.size()));
  co_await answer_in_blocks(service, connection, request.chat, std::move(chat), api);
}

Json count_tokens(const Service& service, std::string_view body) {
  ChatRequest request = parse_messages_request(body, /*counts_only=*/true);
  service.check_model(request.model);
  return {{"input_tokens", service.tokens_of_chat(service.text_of(request)).size()}};
}

}  // namespace moge::serve
