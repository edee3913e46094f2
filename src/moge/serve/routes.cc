#include "moge/serve/routes.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "moge/core/embedded.h"
#include "moge/core/error.h"
#include "moge/serve/api_error.h"
#include "moge/serve/api_request.h"
#include "moge/serve/generate_route.h"

namespace moge {
extern const EmbeddedFiles kPageFiles;  // page/index.html, see CMakeLists.txt
}

namespace moge::serve {

namespace {

constexpr const char* kJson = "application/json";

asio::awaitable<void> completions(const Service& service, Connection& connection,
                                  const std::string& body) {
  const CompletionRequest request = parse_completion_request(body);
  service.check_model(request.model);
  std::vector<std::vector<int32_t>> prompts;
  for (const Prompt& prompt : request.prompts) prompts.push_back(service.tokens_of(prompt));
  co_await generate(service, connection, ApiKind::kCompletion, request, std::move(prompts));
}

asio::awaitable<void> chat(const Service& service, Connection& connection,
                           const std::string& body) {
  const ChatRequest request = parse_chat_request(body);
  service.check_model(request.model);
  std::vector<std::vector<int32_t>> prompts{service.tokens_of(request)};
  co_await generate(service, connection, ApiKind::kChat, request, std::move(prompts));
}

void require_method(const HttpRequest& request, http::verb method) {
  const bool fits = request.method() == method ||
                    (method == http::verb::get && request.method() == http::verb::head);
  if (!fits)
    throw ApiError(
        405, fmt::format("{} is not allowed here, use {}", std::string(request.method_string()),
                         std::string(http::to_string(method))));
}

asio::awaitable<void> dispatch(const Service& service, Connection& connection,
                               const HttpRequest& request) {
  const std::string target(request.target());
  const std::string path = target.substr(0, target.find('?'));
  if (path == "/v1/completions") {
    require_method(request, http::verb::post);
    co_await completions(service, connection, request.body());
  } else if (path == "/v1/chat/completions") {
    require_method(request, http::verb::post);
    co_await chat(service, connection, request.body());
  } else if (path == "/v1/models") {
    require_method(request, http::verb::get);
    co_await connection.send(200, kJson, dump(model_list(service)));
  } else if (path == "/health") {
    require_method(request, http::verb::get);
    co_await connection.send(200, kJson, R"({"status":"ok"})");
  } else if (path == "/") {
    require_method(request, http::verb::get);
    co_await connection.send(200, "text/html; charset=utf-8",
                             std::string(kPageFiles.front().content));
  } else {
    throw ApiError(404, fmt::format("there is nothing at {}", path));
  }
}

}  // namespace

asio::awaitable<void> answer(const Service& service, Connection& connection,
                             const HttpRequest& request) {
  std::string body;
  int status = 500;
  try {
    co_await dispatch(service, connection, request);
    co_return;
  } catch (const ApiError& error) {
    status = error.status();
    body = error.body();
  } catch (const Error& error) {
    body = ApiError(500, error.what()).body();
  }
  const bool busy = status == 429;
  co_await connection.send(status, kJson, std::move(body), busy ? "Retry-After" : "", "1");
}

}  // namespace moge::serve
