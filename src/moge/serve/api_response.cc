#include "moge/serve/api_response.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>

#include "moge/config/model_config.h"
#include "moge/core/error.h"
#include "moge/serve/chat_message.h"
#include "moge/serve/new_id.h"

namespace moge::serve {

namespace {

/// OpenAI's word: an answer that calls tools and was not cut off has ended for them.
const char* finish_reason(const infer::FinishEvent& finish, bool calls) {
  const bool stopped = finish.reason == infer::FinishReason::kStop;
  return calls && stopped ? "tool_calls" : infer::name_of(finish.reason);
}

/// The end token has no text, but clients that count log-probabilities want its own (lm-eval does).
std::optional<infer::TextPiece> end_piece(const infer::TextEnd& end) {
  const infer::Sample& stop = end.finish.stop;
  if (stop.id < 0) return {};
  return infer::TextPiece{.id = stop.id, .logprob = stop.logprob, .top = stop.top};
}

std::span<const infer::TokenLogprob> first_of(const std::vector<infer::TokenLogprob>& top,
                                              size_t most) {
  return std::span(top).first(std::min(most, top.size()));
}

std::vector<infer::TextPiece> with_end(const Answer& answer) {
  std::vector<infer::TextPiece> pieces = answer.pieces;
  if (auto piece = end_piece(answer.end)) pieces.push_back(std::move(*piece));
  return pieces;
}

}  // namespace

ResponseWriter::ResponseWriter(const Service& service, ApiKind kind, const GenerateRequest& request)
    : service_(service),
      kind_(kind),
      wants_logprobs_(request.sampling.num_logprobs >= 0),
      wants_prompt_logprobs_(request.prompt_logprobs >= 0),
      wants_experts_(request.return_routed_experts),
      wants_plain_topk_(request.return_plain_topk_experts),
      num_logprobs_(static_cast<size_t>(std::max(0, request.sampling.num_logprobs))),
      num_prompt_logprobs_(static_cast<size_t>(std::max(0, request.prompt_logprobs))),
      answers_per_prompt_(request.n),
      layers_(service.config.num_layers()),
      top_k_(service.config.moe.top_k),
      id_(new_id(kind == ApiKind::kChat ? "chatcmpl-" : "cmpl-")) {}

Json ResponseWriter::envelope(bool chunk) const {
  const char* object = kind_ == ApiKind::kCompletion ? "text_completion"
                       : chunk                       ? "chat.completion.chunk"
                                                     : "chat.completion";
  return {{"id", id_},
          {"object", object},
          {"created", std::time(nullptr)},
          {"model", service_.model_name},
          {"choices", Json::array()}};
}

Json ResponseWriter::choice(int index, Json content, Json logprobs, Json finish_reason) const {
  Json made = {{"index", index}};
  made.update(content);
  made["logprobs"] = std::move(logprobs);
  made["finish_reason"] = std::move(finish_reason);
  return made;
}

Json ResponseWriter::whole(const std::vector<Answer>& answers) const {
  Json body = envelope(/*chunk=*/false);
  for (size_t i = 0; i < answers.size(); ++i) {
    const Answer& answer = answers[i];
    const int index = static_cast<int>(i);
    if (kind_ == ApiKind::kChat) {
      body["choices"].push_back(whole_chat(index, answer));
      continue;
    }
    Json content = {{"text", answer.text}};
    if (wants_prompt_logprobs_) content["prompt_logprobs"] = prompt_logprobs(answer);
    add_experts(answer.pieces, content);
    Json scores = wants_logprobs_ ? logprobs(with_end(answer), 0) : Json(nullptr);
    body["choices"].push_back(choice(index, std::move(content), std::move(scores),
                                     infer::name_of(answer.end.finish.reason)));
  }
  if (kind_ == ApiKind::kChat && wants_prompt_logprobs_)
    body["prompt_logprobs"] = prompt_logprobs(answers.front());
  body["usage"] = usage(answers, answers_per_prompt_);
  if (!answers.empty()) body["timings"] = timings(answers.front().end.finish);
  return body;
}

std::string ResponseWriter::call_prefix(int index) const {
  return fmt::format("call_{}_{}_", id_.substr(id_.find('-') + 1), index);
}

Json ResponseWriter::whole_chat(int index, const Answer& answer) const {
  Json content = {{"message", chat_message(answer.parts, call_prefix(index))}};
  add_experts(answer.pieces, content);
  const bool calls = content["message"].contains("tool_calls");
  return choice(index, std::move(content), logprobs(answer.pieces, 0),
                finish_reason(answer.end.finish, calls));
}

Json ResponseWriter::chat_chunk(int index, const OutputParts& parts,
                                const infer::TextPiece& piece) const {
  Json body = envelope(/*chunk=*/true);
  Json content = {{"delta", chat_delta(parts, call_prefix(index))}};
  add_experts({piece}, content);
  body["choices"].push_back(choice(index, std::move(content), logprobs({piece}, 0), nullptr));
  return body;
}

Json ResponseWriter::chat_end_chunk(int index, const OutputParts& parts, const infer::TextEnd& end,
                                    int calls) const {
  Json body = envelope(/*chunk=*/true);
  body["choices"].push_back(choice(index, {{"delta", chat_delta(parts, call_prefix(index))}},
                                   nullptr, finish_reason(end.finish, calls > 0)));
  body["timings"] = timings(end.finish);
  return body;
}

Json ResponseWriter::role_chunk(int index) const {
  Json body = envelope(/*chunk=*/true);
  body["choices"].push_back(
      choice(index, {{"delta", {{"role", "assistant"}, {"content", ""}}}}, nullptr, nullptr));
  return body;
}

Json ResponseWriter::piece_chunk(int index, const infer::TextPiece& piece,
                                 int64_t text_offset) const {
  Json body = envelope(/*chunk=*/true);
  Json content = {{"text", piece.text}};
  add_experts({piece}, content);
  body["choices"].push_back(
      choice(index, std::move(content), logprobs({piece}, text_offset), nullptr));
  return body;
}

Json ResponseWriter::end_chunk(int index, const infer::TextEnd& end, int64_t text_offset) const {
  Json body = envelope(/*chunk=*/true);
  Json content = {{"text", end.text}};
  Json scores = nullptr;
  if (const auto piece = end_piece(end)) scores = logprobs({*piece}, text_offset);
  body["choices"].push_back(
      choice(index, std::move(content), std::move(scores), infer::name_of(end.finish.reason)));
  body["timings"] = timings(end.finish);
  return body;
}

Json ResponseWriter::usage_chunk(const std::vector<Answer>& answers) const {
  Json body = envelope(/*chunk=*/true);
  body["usage"] = usage(answers, answers_per_prompt_);
  return body;
}

std::string ResponseWriter::token_text(int32_t id) const {
  return service_.tokenizer.decode(std::span(&id, 1), /*skip_special=*/false);
}

Json ResponseWriter::logprobs(const std::vector<infer::TextPiece>& pieces,
                              int64_t text_offset) const {
  if (!wants_logprobs_) return nullptr;
  return kind_ == ApiKind::kChat ? chat_logprobs(pieces) : completion_logprobs(pieces, text_offset);
}

Json ResponseWriter::completion_logprobs(const std::vector<infer::TextPiece>& pieces,
                                         int64_t text_offset) const {
  Json made = {{"tokens", Json::array()},
               {"token_logprobs", Json::array()},
               {"top_logprobs", Json::array()},
               {"text_offset", Json::array()}};
  for (const infer::TextPiece& piece : pieces) {
    const std::string text = token_text(piece.id);
    const bool known = !std::isnan(piece.logprob);  // not of an echoed prompt's first token
    Json top = known ? Json::object() : Json(nullptr);
    // The likelier one keeps a text that two tokens share; the token itself is always there.
    for (const infer::TokenLogprob& other : first_of(piece.top, num_logprobs_))
      top.emplace(token_text(other.id), other.logprob);
    if (known) top.emplace(text, piece.logprob);
    made["tokens"].push_back(text);
    made["token_logprobs"].push_back(known ? Json(piece.logprob) : Json(nullptr));
    made["top_logprobs"].push_back(std::move(top));
    made["text_offset"].push_back(text_offset);
    text_offset += count_characters(piece.text);
  }
  return made;
}

/// vLLM's form: for each token, by id, the likeliest ones and itself; null for the first.
Json ResponseWriter::prompt_logprobs(const Answer& answer) const {
  const auto entry = [&](int32_t id, float logprob, int64_t rank) {
    return Json{{"logprob", logprob}, {"rank", rank}, {"decoded_token", token_text(id)}};
  };
  Json all = Json::array({nullptr});
  for (const infer::TextPiece& piece : answer.prompt) {
    Json made = Json::object();
    int64_t rank = 0;
    for (const infer::TokenLogprob& other : first_of(piece.top, num_prompt_logprobs_))
      made[std::to_string(other.id)] = entry(other.id, other.logprob, ++rank);
    made.emplace(std::to_string(piece.id), entry(piece.id, piece.logprob, piece.rank));
    all.push_back(std::move(made));
  }
  return all;
}

Json ResponseWriter::chat_logprobs(const std::vector<infer::TextPiece>& pieces) const {
  Json content = Json::array();
  for (const infer::TextPiece& piece : pieces)
    content.push_back(token_logprobs(service_.tokenizer, piece, /*with_ids=*/false));
  return {{"content", std::move(content)}};
}

void ResponseWriter::add_experts(const std::vector<infer::TextPiece>& pieces, Json& content) const {
  if (wants_experts_) content["routed_experts"] = experts(pieces, 0);
  if (wants_plain_topk_) content["plain_topk_experts"] = experts(pieces, 1);
}

/// [tokens][layers][top_k]; an empty list for a dense layer. `half` as of TokenEvent::experts_LK.
Json ResponseWriter::experts(const std::vector<infer::TextPiece>& pieces, int half) const {
  Json tokens = Json::array();
  for (const infer::TextPiece& piece : pieces) {
    if (piece.experts_LK.empty()) continue;  // of the prompt
    Json by_layer = Json::array();
    for (int64_t layer = 0; layer < layers_; ++layer) {
      Json chosen = Json::array();
      for (int64_t k = 0; k < top_k_; ++k) {
        const int32_t id =
            piece.experts_LK[static_cast<size_t>((half * layers_ + layer) * top_k_ + k)];
        if (id >= 0) chosen.push_back(id);
      }
      by_layer.push_back(std::move(chosen));
    }
    tokens.push_back(std::move(by_layer));
  }
  return tokens;
}

Json token_logprobs(const Tokenizer& tokenizer, const infer::TextPiece& piece, bool with_ids) {
  const auto entry = [&](int32_t id, float logprob) {
    const std::string text = tokenizer.decode(std::span(&id, 1), /*skip_special=*/false);
    Json made = {{"token", text},
                 {"logprob", logprob},
                 {"bytes", std::vector<uint8_t>(text.begin(), text.end())}};
    if (with_ids) made["id"] = id;
    return made;
  };
  Json made = entry(piece.id, piece.logprob);
  made["top_logprobs"] = Json::array();
  for (const infer::TokenLogprob& other : piece.top)
    made["top_logprobs"].push_back(entry(other.id, other.logprob));
  return made;
}

int64_t count_characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

Json usage(const std::vector<Answer>& answers, int answers_per_prompt) {
  int64_t prompt = 0, cached = 0, output = 0, reasoning = 0;
  for (size_t i = 0; i < answers.size(); ++i) {
    const infer::FinishEvent& finish = answers[i].end.finish;
    if (i % static_cast<size_t>(answers_per_prompt) == 0) {
      prompt += finish.prompt_tokens;
      cached += finish.cached_tokens;
    }
    output += finish.output_tokens;
    reasoning += answers[i].reasoning_tokens;
  }
  return {{"prompt_tokens", prompt},
          {"completion_tokens", output},
          {"total_tokens", prompt + output},
          {"prompt_tokens_details", {{"cached_tokens", cached}}},
          {"completion_tokens_details", {{"reasoning_tokens", reasoning}}}};
}

Json timings(const infer::FinishEvent& f) {
  return {{"prompt_n", f.prompt_tokens},           {"prompt_ms", f.prompt_s * 1e3},
          {"prompt_per_second", f.prompt_tok_s()}, {"predicted_n", f.output_tokens},
          {"predicted_ms", f.decode_s * 1e3},      {"predicted_per_second", f.decode_tok_s()}};
}

Json model_list(const Service& service) {
  const ModelConfig& config = service.config;
  const Json meta = {{"num_layers", config.num_layers()},
                     {"num_experts", config.moe.num_experts},
                     {"num_expert_groups", config.moe.num_groups},
                     {"num_experts_per_tok", config.moe.top_k},
                     {"has_chat_template", service.chat_template != nullptr}};
  return {{"object", "list"},
          {"data",
           {{{"id", service.model_name},
             {"object", "model"},
             {"created", service.created},
             {"owned_by", "moge"},
             {"max_model_len", service.engine.max_model_len()},
             {"meta", meta}}}}};
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace moge::serve
