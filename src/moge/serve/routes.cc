#include "moge/serve/routes.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

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
#include "moge/serve/request_target.h"
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

Json health(const Service&) { return {{"status", "ok"}}; }
Json pong(const Service&) { return Json::object(); }
Json version(const Service&) { return version_info(); }

/// An answer that one function makes from the body.
template <Json (*make)(const Service&, std::string_view)>
asio::awaitable<void> made(const Service& service, Connection& connection, const Asked& asked) {
  co_await connection.send(200, kJson, dump(make(service, asked.request.body())));
}

/// One that asks for nothing.
template <Json (*show)(const Service&)>
asio::awaitable<void> shown(const Service& service, Connection& connection, const Asked&) {
  co_await connection.send(200, kJson, dump(show(service)));
}

/// One that takes the engine.
template <asio::awaitable<void> (*run)(const Service&, Connection&, const std::string&)>
asio::awaitable<void> generated(const Service& service, Connection& connection,
                                const Asked& asked) {
  return run(service, connection, asked.request.body());
}

asio::awaitable<void> model(const Service& service, Connection& connection, const Asked& asked) {
  service.check_model(std::string(asked.rest));
  co_await connection.send(200, kJson, dump(model_list(service)["data"][0]));
}

asio::awaitable<void> metrics(const Service& service, Connection& connection, const Asked&) {
  co_await connection.send(200, "text/plain; version=0.0.4; charset=utf-8", metrics_text(service));
}

asio::awaitable<void> open_api(const Service&, Connection& connection, const Asked&) {
  co_await connection.send(200, kJson, std::string(kOpenApiFiles.front().content));
}

asio::awaitable<void> page(const Service&, Connection& connection, const Asked&) {
  co_await connection.send(200, "text/html; charset=utf-8", std::string(page_file("index.html")),
                           "Content-Security-Policy", page_file("content_security_policy.txt"));
}

constexpr bool kGet = true, kPost = true, kNo = false;

constexpr Route kRoutes[] = {
    {"/v1/completions", kNo, kPost, generated<completions>},
    {"/v1/chat/completions", kNo, kPost, generated<chat_completions>},
    {"/chat/completions", kNo, kPost, generated<chat_completions>},  // llama.cpp's shorter names
    {"/v1/responses", kNo, kPost, generated<responses>},
    {"/v1/messages", kNo, kPost, generated<messages>},
    {"/v1/messages/count_tokens", kNo, kPost, made<count_tokens>},
    {"/v1/embeddings", kNo, kPost, generated<embeddings>},
    {"/completion", kNo, kPost, generated<llama_completion>},
    {"/completions", kNo, kPost, generated<llama_completion>},
    {"/v1/models", kGet, kNo, shown<model_list>},
    {"/models", kGet, kNo, shown<model_list>},
    {"/v1/models/{model}", kGet, kNo, model},
    {"/tokenize", kNo, kPost, made<tokenize>},
    {"/detokenize", kNo, kPost, made<detokenize>},
    {"/apply-template", kNo, kPost, made<apply_template>},
    {"/props", kGet, kNo, shown<props>},
    {"/slots", kGet, kNo, shown<slots>},
    {"/experts", kGet, kNo, shown<experts>},
    {"/start_expert_distribution_record", kGet, kPost, shown<start_expert_record>},
    {"/stop_expert_distribution_record", kGet, kPost, shown<stop_expert_record>},
    {"/dump_expert_distribution_record", kGet, kPost, shown<dump_expert_record>},
    {"/version", kGet, kNo, shown<version>},
    {"/ping", kGet, kPost, shown<pong>},
    {"/health", kGet, kNo, shown<health>},
    {"/v1/health", kGet, kNo, shown<health>},
    {"/metrics", kGet, kNo, metrics},
    {"/openapi.json", kGet, kNo, open_api},
    {"/", kGet, kNo, page}};

/// What stands in place of the name that the route's path ends in; nothing for another path.
std::optional<std::string_view> match(const Route& route, std::string_view path) {
  const size_t name = route.path.find('{');
  const bool fits = name == std::string_view::npos
                        ? path == route.path
                        : path.size() > name && path.starts_with(route.path.substr(0, name));
  if (!fits) return {};
  return path.substr(std::min(name, path.size()));
}

void require_method(const Route& route, const HttpRequest& request) {
  const http::verb method = request.method();
  const bool gets = method == http::verb::get || method == http::verb::head;
  if ((gets && route.get) || (method == http::verb::post && route.post)) return;
  const char* allowed = !route.get   ? "POST, OPTIONS"
                        : route.post ? "GET, HEAD, POST, OPTIONS"
                                     : "GET, HEAD, OPTIONS";
  throw ApiError(405, fmt::format("{} is not allowed here, use {}",
                                  std::string(request.method_string()), route.get ? "GET" : "POST"))
      .with_header("Allow", allowed);
}

std::string_view field(const HttpRequest& request, const char* name) {
  const auto value = request[name];
  return {value.data(), value.size()};
}

/// Bodies come as they are.
void require_plain_body(const HttpRequest& request) {
  const std::string_view encoding = field(request, "Content-Encoding");
  if (encoding.empty() || encoding == "identity") return;
  throw ApiError(415, fmt::format("the body's Content-Encoding is {}, send it as it is", encoding))
      .with_header("Accept-Encoding", "identity");
}

asio::awaitable<void> dispatch(const Service& service, Connection& connection,
                               const HttpRequest& request, const std::string& path) {
  if (request.method() == http::verb::options) {
    co_await connection.send_preflight();
    co_return;
  }
  check_access(service.api_keys, path, field(request, "Authorization"),
               field(request, "X-Api-Key"));
  for (const Route& route : kRoutes) {
    const std::optional<std::string_view> rest = match(route, path);
    if (!rest) continue;
    require_method(route, request);
    require_plain_body(request);
    const Asked asked{.request = request, .rest = *rest};
    co_await route.answer(service, connection, asked);
    co_return;
  }
  throw ApiError(404, fmt::format("there is nothing at {}", path));
}

}  // namespace

std::span<const Route> routes() { return kRoutes; }

asio::awaitable<void> answer(const Service& service, Connection& connection,
                             const HttpRequest& request) {
  const std::string path = path_of({request.target().data(), request.target().size()});
  std::string body;
  std::pair<std::string, std::string> header;
  int status = 500;
  try {
    co_await dispatch(service, connection, request, path);
    co_return;
  } catch (const ApiError& error) {
    status = error.status();
    header = error.header();
    body = error.body(path.starts_with("/v1/messages") ? "error" : "");
  } catch (const std::exception& error) {
    body = ApiError(500, error.what()).body();
  }
  co_await connection.send(status, kJson, std::move(body), header.first, header.second);
}

}  // namespace moge::serve
