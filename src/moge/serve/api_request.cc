#include "moge/serve/api_request.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "moge/serve/chat_tools.h"
#include "moge/serve/request_fields.h"

namespace moge::serve {

using json = nlohmann::ordered_json;

namespace {

constexpr int kMaxAnswers = 128, kMaxPrompts = 2048, kMaxStops = 16, kMaxAlternatives = 20;

std::vector<std::string> read_stops(const json& object) {
  const json* value = find(object, "stop");
  if (!value) return {};
  if (value->is_string()) return {value->get<std::string>()};
  require(value->is_array(), "stop", "stop is neither a string nor a list of strings");
  require(value->size() <= kMaxStops, "stop", "stop has {} strings, at most {} are allowed",
          value->size(), kMaxStops);
  std::vector<std::string> stops;
  for (const json& item : *value) stops.push_back(as_text(item, "stop"));
  return stops;
}

std::vector<std::pair<int32_t, float>> read_logit_bias(const json& object) {
  const json* value = find(object, "logit_bias");
  std::vector<std::pair<int32_t, float>> biases;
  if (!value) return biases;
  require(value->is_object(), "logit_bias", "logit_bias is not an object of token ids");
  for (const auto& [key, bias] : value->items()) {
    int32_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    require(error == std::errc{} && end == key.data() + key.size() && id >= 0, "logit_bias",
            "logit_bias has the key '{}', which is not a token id", key);
    require(bias.is_number() && std::abs(bias.get<double>()) <= 100, "logit_bias",
            "logit_bias of token {} is not a number in [-100, 100]", id);
    biases.emplace_back(id, bias.get<float>());
  }
  return biases;
}

uint64_t any_seed() {
  std::random_device random;
  return uint64_t{random()} << 32 | random();
}

void read_sampling(const json& body, infer::SamplingParams& s) {
  s.temperature = static_cast<float>(read_number(body, "temperature", 1.0));
  s.top_p = static_cast<float>(read_number(body, "top_p", 1.0));
  s.top_k = read_integer(body, "top_k", 0);
  if (s.top_k == -1) s.top_k = 0;  // vLLM's spelling of "off"
  s.min_p = static_cast<float>(read_number(body, "min_p", 0.0));
  s.typical_p = static_cast<float>(read_number(body, "typical_p", 1.0));
  const double repeat_penalty = read_number(body, "repeat_penalty", 1.0);  // llama.cpp's name
  s.repetition_penalty =
      static_cast<float>(read_number(body, "repetition_penalty", repeat_penalty));
  s.presence_penalty = static_cast<float>(read_number(body, "presence_penalty", 0.0));
  s.frequency_penalty = static_cast<float>(read_number(body, "frequency_penalty", 0.0));
  s.logit_bias = read_logit_bias(body);
  const int64_t seed = read_integer(body, "seed", -1);  // vLLM's and llama.cpp's "any"
  s.seed = seed == -1 ? any_seed() : static_cast<uint64_t>(seed);
  s.min_tokens = read_integer(body, "min_tokens", 0);
  s.ignore_eos = read_bool(body, "ignore_eos", false);
  s.stop = read_stops(body);
  if (const json* ids = find(body, "stop_token_ids")) {
    require(ids->is_array(), "stop_token_ids", "stop_token_ids is not a list");
    for (const json& id : *ids) s.stop_ids.push_back(as_token(id, "stop_token_ids"));
  }
}

void read_common(const json& body, GenerateRequest& request) {
  if (const json* model = find(body, "model")) request.model = as_text(*model, "model");
  read_sampling(body, request.sampling);
  request.n = static_cast<int>(read_integer_between(body, "n", 1, 1, kMaxAnswers));
  request.best_of = request.n;
  request.stream = read_bool(body, "stream", false);
  if (find(body, "prompt_logprobs")) {
    request.prompt_logprobs =
        static_cast<int>(read_integer_between(body, "prompt_logprobs", 0, 0, kMaxAlternatives));
    require(!request.stream, "prompt_logprobs", "prompt_logprobs are not streamed");
  }
  request.priority = read_integer(body, "priority", 0);
  if (const json* salt = find(body, "cache_salt"))
    request.cache_salt = as_text(*salt, "cache_salt");
  request.return_routed_experts = read_bool(body, "return_routed_experts", false);
  request.return_plain_topk_experts = read_bool(body, "return_plain_topk_experts", false);
  request.skip_special_tokens = read_bool(body, "skip_special_tokens", true);
  request.asked_format = read_output_format(body);
  if (const json* options = find(body, "stream_options")) {
    require(options->is_object(), "stream_options", "stream_options is not an object");
    request.include_usage = read_bool(*options, "include_usage", false);
  }
}

void read_max_tokens(const json& body, const char* key, GenerateRequest& request) {
  if (!find(body, key)) return;
  request.max_tokens = read_integer_between(body, key, 0, 0, 1 << 24);
}

Prompt read_ids(const json& list) {
  Prompt prompt{.is_ids = true};
  for (const json& id : list) prompt.ids.push_back(as_token(id, "prompt"));
  return prompt;
}

std::vector<Prompt> read_prompts(const json& body) {
  const json* value = find(body, "prompt");
  require(value != nullptr, "prompt", "prompt is missing");
  if (value->is_string()) return {Prompt{.text = value->get<std::string>()}};
  require(value->is_array() && !value->empty(), "prompt",
          "prompt is neither a string nor a non-empty list");
  if (value->front().is_number()) return {read_ids(*value)};
  require(value->size() <= kMaxPrompts, "prompt", "prompt has {} entries, at most {} are allowed",
          value->size(), kMaxPrompts);
  std::vector<Prompt> prompts;
  for (const json& item : *value)
    prompts.push_back(item.is_array() ? read_ids(item) : Prompt{.text = as_text(item, "prompt")});
  return prompts;
}

void check_messages(const json& body) {
  const json* messages = find(body, "messages");
  require(messages && messages->is_array() && !messages->empty(), "messages",
          "messages is not a non-empty list");
  size_t i = 0;
  for (const json& message : *messages) {
    require(message.is_object(), "messages", "messages[{}] is not an object", i);
    require(message.contains("role") && message["role"].is_string(), "messages",
            "messages[{}].role is not a string", i);
    const json* content = find(message, "content");
    require(!content || content->is_string() || content->is_array(), "messages",
            "messages[{}].content is neither a string nor a list of parts", i++);
  }
}

/// The text of one of OpenAI's content parts.
std::string text_of_part(const json& part) {
  if (part.is_string()) return part.get<std::string>();
  require(part.is_object(), "messages", "a content part is neither an object nor a string");
  const std::string type = part.value("type", json()).dump();
  const bool is_text = type == "\"text\"" || type == "\"input_text\"" || type == "\"output_text\"";
  require(is_text || type == "\"refusal\"", "messages",
          "a content part has the type {}; this server reads text", type);
  const json* text = find(part, is_text ? "text" : "refusal");
  require(text && text->is_string(), "messages", "a content part has no text");
  return text->get<std::string>();
}

/// As templates expect it: the content one text, and no field that says nothing, which clients
/// write when they send back an answer; templates ask whether a field is there.
json plain_message(const json& message) {
  json plain = json::object();
  for (const auto& [key, value] : message.items())
    if (!value.is_null() && !(key == "tool_calls" && value.empty())) plain[key] = value;
  json& content = plain["content"];
  std::string text;
  if (content.is_array())
    for (const json& part : content) text += text_of_part(part);
  if (!content.is_string()) content = text;
  return plain;
}

json plain_messages(const json& messages) {
  json plain = json::array();
  for (const json& message : messages) plain.push_back(plain_message(message));
  return plain;
}

}  // namespace

CompletionRequest parse_completion_request(std::string_view text) {
  return completion_request_of(parse_body(text));
}

CompletionRequest completion_request_of(const json& body) {
  refuse_missing_features(body, {"suffix", "guided_whitespace_pattern"});
  CompletionRequest request;
  read_common(body, request);
  request.prompts = read_prompts(body);
  request.best_of =
      static_cast<int>(read_integer_between(body, "best_of", request.n, request.n, kMaxAnswers));
  require(request.best_of == request.n || !request.stream, "best_of",
          "best_of is {} and n {}: which answers are best is known at their end, so not streamed",
          request.best_of, request.n);
  request.echo = read_bool(body, "echo", false);
  if (find(body, "logprobs"))
    request.sampling.num_logprobs =
        static_cast<int>(read_integer_between(body, "logprobs", 0, 0, kMaxAlternatives));
  request.max_tokens = 16;  // OpenAI's default
  read_max_tokens(body, "max_tokens", request);
  return request;
}

ChatRequest parse_chat_request(std::string_view text) { return chat_request_of(parse_body(text)); }

ChatRequest chat_request_of(const json& body) {
  refuse_missing_features(body, {"functions", "audio", "guided_whitespace_pattern"});
  ChatRequest request;
  read_common(body, request);
  check_messages(body);
  request.messages_json = with_call_objects(plain_messages(body["messages"])).dump();
  read_tools(body, request);
  if (const json* kwargs = find(body, "chat_template_kwargs")) {
    require(kwargs->is_object(), "chat_template_kwargs", "chat_template_kwargs is not an object");
    request.template_kwargs_json = kwargs->dump();
  }
  request.add_generation_prompt = read_bool(body, "add_generation_prompt", true);
  if (read_bool(body, "logprobs", false))
    request.sampling.num_logprobs =
        static_cast<int>(read_integer_between(body, "top_logprobs", 0, 0, kMaxAlternatives));
  read_max_tokens(body, "max_tokens", request);
  read_max_tokens(body, "max_completion_tokens", request);
  if (read_integer(body, "n_predict", -1) >= 0) read_max_tokens(body, "n_predict", request);
  return request;
}

TextRequest parse_text_request(std::string_view text) {
  const json body = parse_body(text);
  TextRequest request;
  if (const json* model = find(body, "model")) request.model = as_text(*model, "model");
  if (find(body, "messages")) {
    request.chat = parse_chat_request(text);
    request.add_special = false;
  } else if (const json* content = find(body, "content")) {
    request.llama_form = true;
    request.text = as_text(*content, "content");
    request.add_special = read_bool(body, "add_special", false);
    request.with_pieces = read_bool(body, "with_pieces", false);
  } else {
    const json* prompt = find(body, "prompt");
    require(prompt != nullptr, "prompt", "none of prompt, content and messages is given");
    request.text = as_text(*prompt, "prompt");
    request.add_special = read_bool(body, "add_special_tokens", true);
  }
  if (!request.llama_form) request.with_pieces = read_bool(body, "return_token_strs", false);
  return request;
}

DetokenizeRequest parse_detokenize_request(std::string_view text) {
  const json body = parse_body(text);
  DetokenizeRequest request;
  if (const json* model = find(body, "model")) request.model = as_text(*model, "model");
  const json* tokens = find(body, "tokens");
  require(tokens && tokens->is_array(), "tokens", "tokens is not a list of token ids");
  for (const json& id : *tokens) request.ids.push_back(as_token(id, "tokens"));
  return request;
}

}  // namespace moge::serve
