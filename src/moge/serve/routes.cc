#include "moge/serve/routes.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "moge/core/embedded.h"
#include "moge/core/error.h"
#include "moge/serve/access.h"
#include "moge/serve/api_error.h"
#include "moge/serve/api_request.h"
#include "moge/serve/chat_routes.h"
#include "moge/serve/embeddings_route.h"
#include "moge/serve/expert_routes.h"
#include "moge/serve/generate_route.h"
#include "moge/serve/llama_route.h"
#include "moge/serve/structured_output.h"
#include "moge/serve/text_routes.h"

namespace moge {
extern const EmbeddedFiles kOpenApiFiles;  // openapi/openapi.json
extern const EmbeddedFiles kPageFiles;     // see page/CMakeLists.txt
}  // namespace moge

namespace moge::serve {

namespace {

constexpr const char* kJson = "application/json";

std::string_view page_file(std::string_view name) {
  for (const EmbeddedFile& file : kPageFiles)
    if (file.name == name) return file.content;
  return {};
}

asio::awaitable<void> completions(const Service& service, Connection& connection,
                                  const std::string& body) {
  CompletionRequest request = parse_completion_request(body);
  service.check_model(request.model);
  std::vector<std::vector<int32_t>> prompts;
  for (const Prompt& prompt : request.prompts) prompts.push_back(service.tokens_of(prompt));
  co_await compile_output_format(service, request, {});
  co_await generate(service, connection, ApiKind::kCompletion, request, std::move(prompts));
}

void require_method(const HttpRequest& request, http::verb method) {
  if (request.method() != method)
    throw ApiError(
        405, fmt::format("{} is not allowed here, use {}", std::string(request.method_string()),
                         std::string(http::to_string(method))));
}

void require_get(const HttpRequest& request) {
  if (request.method() != http::verb::head) require_method(request, http::verb::get);
}

/// Answers that one function makes from the body; nothing for other paths.
std::optional<Json> text_answer(const Service& service, std::string_view path,
                                const HttpRequest& request) {
  using Make = Json (*)(const Service&, std::string_view);
  static constexpr std::pair<std::string_view, Make> kPosts[] = {
      {"/tokenize", tokenize},
      {"/detokenize", detokenize},
      {"/apply-template", apply_template},
      {"/v1/messages/count_tokens", count_tokens}};
  for (const auto& [name, make] : kPosts) {
    if (path != name) continue;
    require_method(request, http::verb::post);
    return make(service, request.body());
  }
  using Show = Json (*)(const Service&);
  static constexpr std::pair<std::string_view, Show> kGets[] = {
      {"/v1/models", model_list},
      {"/props", props},
      {"/slots", slots},
      {"/experts", experts},
      {"/start_expert_distribution_record", start_expert_record},
      {"/stop_expert_distribution_record", stop_expert_record},
      {"/dump_expert_distribution_record", dump_expert_record},
      {"/version", [](const Service&) { return version_info(); }},
      {"/ping", [](const Service&) { return Json::object(); }},
      {"/health",
       [](const Service&) {
         return Json{{"status", "ok"}};
       }},
      {"/v1/health", [](const Service&) {
         return Json{{"status", "ok"}};
       }}};
  for (const auto& [name, show] : kGets) {
    if (path != name) continue;
    const bool either = path == "/ping" || path.ends_with("_record");  // as their models do
    if (!either || request.method() != http::verb::post) require_get(request);
    return show(service);
  }
  return {};
}

using Generate = asio::awaitable<void> (*)(const Service&, Connection&, const std::string&);

/// Answers that take the engine; null for other paths.
Generate generating(std::string_view path) {
  static constexpr std::pair<std::string_view, Generate> kAll[] = {
      {"/v1/completions", completions}, {"/v1/chat/completions", chat_completions},
      {"/v1/messages", messages},       {"/v1/responses", responses},
      {"/v1/embeddings", embeddings},   {"/completion", llama_completion}};
  for (const auto& [name, generate] : kAll)
    if (path == name) return generate;
  return nullptr;
}

std::string_view field(const HttpRequest& request, const char* name) {
  const auto value = request[name];
  return {value.data(), value.size()};
}

asio::awaitable<void> dispatch(const Service& service, Connection& connection,
                               const HttpRequest& request) {
  const std::string target(request.target());
  const std::string path = target.substr(0, target.find('?'));
  if (request.method() == http::verb::options) {
    co_await connection.send_preflight();
    co_return;
  }
  check_access(service.api_keys, path, field(request, "Authorization"),
               field(request, "X-Api-Key"));
  if (const Generate generate = generating(path)) {
    require_method(request, http::verb::post);
    co_await generate(service, connection, request.body());
  } else if (path == "/metrics") {
    require_get(request);
    co_await connection.send(200, "text/plain; version=0.0.4; charset=utf-8",
                             metrics_text(service));
  } else if (path == "/openapi.json") {
    require_get(request);
    co_await connection.send(200, kJson, std::string(kOpenApiFiles.front().content));
  } else if (path == "/") {
    require_get(request);
    co_await connection.send(200, "text/html; charset=utf-8", std::string(page_file("index.html")),
                             "Content-Security-Policy", page_file("content_security_policy.txt"));
  } else if (const auto json = text_answer(service, path, request)) {
    co_await connection.send(200, kJson, dump(*json));
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
    const bool anthropic = request.target().starts_with("/v1/messages");
    body = error.body(anthropic ? "error" : "");
  } catch (const std::exception& error) {
    body = ApiError(500, error.what()).body();
  }
  const bool busy = status == 429;
  co_await connection.send(status, kJson, std::move(body), busy ? "Retry-After" : "", "1");
}

}  // namespace moge::serve
