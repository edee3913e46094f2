#include "moge/serve/text_routes.h"

#include <nlohmann/json.hpp>
#include <string>

#include "moge/core/error.h"
#include "moge/serve/api_error.h"
#include "moge/serve/api_request.h"

namespace moge::serve {

using Json = nlohmann::ordered_json;

namespace {

Json pieces_of(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  Json pieces = Json::array();
  for (int32_t id : ids) pieces.push_back(tokenizer.id_to_piece(id));
  return pieces;
}

Json llama_tokens(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  Json tokens = Json::array();
  for (int32_t id : ids)
    tokens.push_back({{"id", id}, {"piece", tokenizer.decode({&id, 1}, /*skip_special=*/false)}});
  return tokens;
}

}  // namespace

Json tokenize(const Service& service, std::string_view body) {
  const TextRequest request = parse_text_request(body);
  service.check_model(request.model);
  const std::string text = request.chat ? service.text_of(*request.chat) : request.text;
  const std::vector<int32_t> ids = service.tokenizer.encode(text, request.add_special);
  if (request.llama_form && request.with_pieces)
    return {{"tokens", llama_tokens(service.tokenizer, ids)}};
  Json answer = {{"count", ids.size()},
                 {"max_model_len", service.engine.max_model_len()},
                 {"tokens", ids},
                 {"token_strs", nullptr}};
  if (request.with_pieces) answer["token_strs"] = pieces_of(service.tokenizer, ids);
  return answer;
}

Json detokenize(const Service& service, std::string_view body) {
  const DetokenizeRequest request = parse_detokenize_request(body);
  service.check_model(request.model);
  for (int32_t id : request.ids)
    if (id >= service.config.vocab_size)
      throw ApiError(400,
                     fmt::format("tokens has id {}, the vocabulary has {} tokens", id,
                                 service.config.vocab_size),
                     "tokens");
  const std::string text = service.tokenizer.decode(request.ids, /*skip_special=*/false);
  return {{"prompt", text}, {"content", text}};
}

Json apply_template(const Service& service, std::string_view body) {
  const ChatRequest request = parse_chat_request(body);
  service.check_model(request.model);
  return {{"prompt", service.text_of(request)}};
}

Json version_info() { return {{"version", MOGE_VERSION}}; }

Json props(const Service& service) {
  const infer::SamplingParams s;
  const Json params = {{"temperature", s.temperature},
                       {"top_k", s.top_k},
                       {"top_p", s.top_p},
                       {"min_p", s.min_p},
                       {"typical_p", s.typical_p},
                       {"repeat_penalty", s.repetition_penalty}};
  return {{"default_generation_settings",
           {{"n_ctx", service.engine.max_model_len()}, {"params", params}}},
          {"total_slots", service.max_num_seqs},
          {"model_alias", service.model_name},
          {"has_chat_template", service.chat_template != nullptr},
          {"chat_template", service.chat_template ? service.chat_template->source() : ""},
          {"build_info", "moge " MOGE_VERSION}};
}

Json slots(const Service& service) {
  const int64_t running = service.engine.stats().running;
  Json all = Json::array();
  for (int64_t i = 0; i < service.max_num_seqs; ++i)
    all.push_back(
        {{"id", i}, {"n_ctx", service.engine.max_model_len()}, {"is_processing", i < running}});
  return all;
}

}  // namespace moge::serve
