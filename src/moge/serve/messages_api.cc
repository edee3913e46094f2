#include "moge/serve/messages_api.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "moge/serve/new_id.h"

namespace moge::serve {

namespace {

using Kind = AnswerBlock::Kind;

const char* stop_reason(const std::vector<AnswerBlock>& blocks, const infer::TextEnd& end) {
  if (end.finish.reason == infer::FinishReason::kLength) return "max_tokens";
  if (!end.stop.empty()) return "stop_sequence";
  const bool calls = std::any_of(blocks.begin(), blocks.end(),
                                 [](const AnswerBlock& b) { return b.kind == Kind::kCall; });
  return calls ? "tool_use" : "end_turn";
}

Json stop_sequence(const infer::TextEnd& end) { return end.stop.empty() ? Json() : Json(end.stop); }

}  // namespace

MessagesApi::MessagesApi(std::string model, int64_t prompt_tokens)
    : model_(std::move(model)), id_(new_id("msg_")), prompt_tokens_(prompt_tokens) {}

/// What came from the cache is not among the input tokens.
Json MessagesApi::usage(int64_t cached_tokens, int64_t output_tokens) const {
  return {{"input_tokens", prompt_tokens_ - cached_tokens},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", cached_tokens},
          {"output_tokens", output_tokens}};
}

Json MessagesApi::envelope() const {
  return {{"id", id_},
          {"type", "message"},
          {"role", "assistant"},
          {"model", model_},
          {"content", Json::array()},
          {"stop_reason", nullptr},
          {"stop_sequence", nullptr},
          {"usage", usage(0, 0)}};
}

Json MessagesApi::block_json(size_t index, const AnswerBlock& block) const {
  if (block.kind == Kind::kText) return {{"type", "text"}, {"text", block.text}};
  if (block.kind == Kind::kReasoning)
    return {{"type", "thinking"}, {"thinking", block.text}, {"signature", ""}};
  Json input = Json::parse(block.text, nullptr, /*allow_exceptions=*/false);
  if (!input.is_object()) input = Json::object();  // arguments that were cut off
  return {{"type", "tool_use"},
          {"id", "toolu_" + id_.substr(4) + "_" + std::to_string(index)},
          {"name", block.name},
          {"input", std::move(input)}};
}

Json MessagesApi::whole(const std::vector<AnswerBlock>& blocks, const BlocksEnd& end) {
  Json message = envelope();
  for (size_t i = 0; i < blocks.size(); ++i) message["content"].push_back(block_json(i, blocks[i]));
  message["stop_reason"] = stop_reason(blocks, end);
  message["stop_sequence"] = stop_sequence(end);
  message["usage"] = usage(end.finish.cached_tokens, end.finish.output_tokens);
  return message;
}

void MessagesApi::begin(NamedEvents& events) {
  events.push_back({{"type", "message_start"}, {"message", envelope()}});
  events.push_back({{"type", "ping"}});
}

void MessagesApi::open(size_t index, const AnswerBlock& block, NamedEvents& events) {
  events.push_back({{"type", "content_block_start"},
                    {"index", index},
                    {"content_block", block_json(index, block)}});
}

void MessagesApi::add(size_t index, const AnswerBlock& block, const std::string& text,
                      NamedEvents& events) {
  const Json delta = block.kind == Kind::kText ? Json{{"type", "text_delta"}, {"text", text}}
                     : block.kind == Kind::kReasoning
                         ? Json{{"type", "thinking_delta"}, {"thinking", text}}
                         : Json{{"type", "input_json_delta"}, {"partial_json", text}};
  events.push_back({{"type", "content_block_delta"}, {"index", index}, {"delta", delta}});
}

void MessagesApi::close(size_t index, const AnswerBlock&, NamedEvents& events) {
  events.push_back({{"type", "content_block_stop"}, {"index", index}});
}

void MessagesApi::end(const std::vector<AnswerBlock>& blocks, const BlocksEnd& end,
                      NamedEvents& events) {
  events.push_back(
      {{"type", "message_delta"},
       {"delta",
        {{"stop_reason", stop_reason(blocks, end)}, {"stop_sequence", stop_sequence(end)}}},
       {"usage", usage(end.finish.cached_tokens, end.finish.output_tokens)}});
  events.push_back({{"type", "message_stop"}});
}

void MessagesApi::fail(const std::string& message, NamedEvents& events) {
  events.push_back({{"type", "error"}, {"error", {{"type", "api_error"}, {"message", message}}}});
}

}  // namespace moge::serve
