#include "moge/serve/embeddings_route.h"

#include <boost/asio/this_coro.hpp>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "moge/serve/api_error.h"
#include "moge/serve/api_response.h"
#include "moge/serve/embeddings_request.h"
#include "moge/serve/running.h"

namespace moge::serve {

namespace {

void normalize(std::vector<float>& values) {
  double squares = 0;
  for (float v : values) squares += static_cast<double>(v) * static_cast<double>(v);
  if (squares == 0) return;
  for (float& v : values) v = static_cast<float>(static_cast<double>(v) / std::sqrt(squares));
}

Json answer_json(const Service& service, const EmbeddingsRequest& request,
                 std::vector<Answer>& answers) {
  Json data = Json::array();
  int64_t tokens = 0;
  for (size_t i = 0; i < answers.size(); ++i) {
    infer::FinishEvent& finish = answers[i].end.finish;
    tokens += finish.prompt_tokens;
    if (request.normalize) normalize(finish.embedding);
    Json values = request.base64 ? Json(base64_of(finish.embedding)) : Json(finish.embedding);
    data.push_back({{"object", "embedding"}, {"index", i}, {"embedding", std::move(values)}});
  }
  return {{"object", "list"},
          {"data", std::move(data)},
          {"model", service.model_name},
          {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}};
}

}  // namespace

std::string base64_of(std::span<const float> values) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes(values.size() * sizeof(float), '\0'), text;
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t three = 0;
    for (size_t j = 0; j < 3; ++j)
      three = three << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j)
      text += i + j <= bytes.size() ? kDigits[three >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

asio::awaitable<void> embeddings(const Service& service, Connection& connection,
                                 const std::string& body) {
  const EmbeddingsRequest request = parse_embeddings_request(body);
  service.check_model(request.model);
  std::vector<infer::Request> wanted;
  for (const Prompt& input : request.inputs) {
    infer::Request one{.prompt = service.tokens_of(input), .want_embedding = true};
    if (one.prompt.empty()) throw ApiError(400, "input has an entry without a token", "input");
    one.sampling.max_tokens = 0;
    wanted.push_back(std::move(one));
  }
  Running running(service, std::move(wanted), co_await asio::this_coro::executor);
  const auto watch =
      connection.watch([queue = running.queue()] { queue->push({.what = ClientLeft{}}); });
  auto answers = co_await collect(running);
  watch->end();
  if (!answers) co_return;
  co_await connection.send(200, "application/json", dump(answer_json(service, request, *answers)));
}

}  // namespace moge::serve
