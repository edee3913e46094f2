#include "moge/serve/responses_api.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "moge/serve/new_id.h"

namespace moge::serve {

namespace {

using Kind = AnswerBlock::Kind;

Json text_part(const AnswerBlock& block) {
  if (block.kind == Kind::kReasoning) return {{"type", "reasoning_text"}, {"text", block.text}};
  return {{"type", "output_text"},
          {"text", block.text},
          {"annotations", Json::array()},
          {"logprobs", Json::array()}};
}

}  // namespace

ResponsesApi::ResponsesApi(std::string model, const std::string& echo_json, int64_t prompt_tokens)
    : model_(std::move(model)),
      id_(new_id("resp_")),
      echo_(std::make_unique<const Json>(Json::parse(echo_json))),
      prompt_tokens_(prompt_tokens) {}
ResponsesApi::~ResponsesApi() = default;

Json ResponsesApi::envelope(const char* status) const {
  Json response = {{"id", id_},        {"object", "response"},    {"created_at", created_},
                   {"status", status}, {"error", nullptr},        {"incomplete_details", nullptr},
                   {"model", model_},  {"output", Json::array()}, {"usage", nullptr}};
  response.update(*echo_);
  return response;
}

std::string ResponsesApi::item_id(size_t index, const AnswerBlock& block) const {
  const char* prefix = block.kind == Kind::kText   ? "msg_"
                       : block.kind == Kind::kCall ? "fc_"
                                                   : "rs_";
  return prefix + id_.substr(5) + "_" + std::to_string(index);
}

Json ResponsesApi::item(size_t index, const AnswerBlock& block, const char* status) const {
  Json made = {{"id", item_id(index, block)}};
  const bool begun = !block.text.empty();
  if (block.kind == Kind::kText) {
    made.update({{"type", "message"}, {"status", status}, {"role", "assistant"}});
    made["content"] = Json::array();
    if (begun) made["content"].push_back(text_part(block));
  } else if (block.kind == Kind::kReasoning) {
    made.update({{"type", "reasoning"}, {"status", status}, {"summary", Json::array()}});
    made["content"] = Json::array();
    if (begun) made["content"].push_back(text_part(block));
  } else {
    made.update({{"type", "function_call"},
                 {"status", status},
                 {"call_id", "call_" + id_.substr(5) + "_" + std::to_string(index)},
                 {"name", block.name},
                 {"arguments", block.text}});
  }
  return made;
}

Json ResponsesApi::whole(const std::vector<AnswerBlock>& blocks, const BlocksEnd& end) {
  const bool cut = end.finish.reason == infer::FinishReason::kLength;
  Json response = envelope(cut ? "incomplete" : "completed");
  if (cut) response["incomplete_details"] = {{"reason", "max_output_tokens"}};
  for (size_t i = 0; i < blocks.size(); ++i)
    response["output"].push_back(
        item(i, blocks[i], cut && i + 1 == blocks.size() ? "incomplete" : "completed"));
  const int64_t output = end.finish.output_tokens;
  response["usage"] = {{"input_tokens", prompt_tokens_},
                       {"input_tokens_details", {{"cached_tokens", end.finish.cached_tokens}}},
                       {"output_tokens", output},
                       {"output_tokens_details", {{"reasoning_tokens", end.reasoning_tokens}}},
                       {"total_tokens", prompt_tokens_ + output}};
  return response;
}

void ResponsesApi::push(Json event, NamedEvents& events) {
  event["sequence_number"] = sequence_++;
  events.push_back(std::move(event));
}

Json ResponsesApi::event_of(const char* type, size_t index, const AnswerBlock& block) const {
  Json event = {{"type", type}, {"item_id", item_id(index, block)}, {"output_index", index}};
  if (block.kind != Kind::kCall) event["content_index"] = 0;
  return event;
}

void ResponsesApi::begin(NamedEvents& events) {
  push({{"type", "response.created"}, {"response", envelope("in_progress")}}, events);
  push({{"type", "response.in_progress"}, {"response", envelope("in_progress")}}, events);
}

void ResponsesApi::open(size_t index, const AnswerBlock& block, NamedEvents& events) {
  push({{"type", "response.output_item.added"},
        {"output_index", index},
        {"item", item(index, block, "in_progress")}},
       events);
  if (block.kind == Kind::kCall) return;
  Json event = event_of("response.content_part.added", index, block);
  event["part"] = text_part(block);
  push(std::move(event), events);
}

void ResponsesApi::add(size_t index, const AnswerBlock& block, const std::string& text,
                       NamedEvents& events) {
  const char* type = block.kind == Kind::kText        ? "response.output_text.delta"
                     : block.kind == Kind::kReasoning ? "response.reasoning_text.delta"
                                                      : "response.function_call_arguments.delta";
  Json event = event_of(type, index, block);
  event["delta"] = text;
  if (block.kind == Kind::kText) event["logprobs"] = Json::array();
  push(std::move(event), events);
}

void ResponsesApi::close(size_t index, const AnswerBlock& block, NamedEvents& events) {
  if (block.kind == Kind::kCall) {
    Json event = event_of("response.function_call_arguments.done", index, block);
    event["name"] = block.name;
    event["arguments"] = block.text;
    push(std::move(event), events);
  } else {
    const bool text = block.kind == Kind::kText;
    Json event =
        event_of(text ? "response.output_text.done" : "response.reasoning_text.done", index, block);
    event["text"] = block.text;
    if (text) event["logprobs"] = Json::array();
    push(std::move(event), events);
    event = event_of("response.content_part.done", index, block);
    event["part"] = text_part(block);
    push(std::move(event), events);
  }
  push({{"type", "response.output_item.done"},
        {"output_index", index},
        {"item", item(index, block, "completed")}},
       events);
}

void ResponsesApi::end(const std::vector<AnswerBlock>& blocks, const BlocksEnd& end,
                       NamedEvents& events) {
  Json response = whole(blocks, end);
  const bool cut = response["status"] == "incomplete";
  push({{"type", cut ? "response.incomplete" : "response.completed"},
        {"response", std::move(response)}},
       events);
}

void ResponsesApi::fail(const std::string& message, NamedEvents& events) {
  Json response = envelope("failed");
  response["error"] = {{"code", "server_error"}, {"message", message}};
  push({{"type", "response.failed"}, {"response", std::move(response)}}, events);
}

}  // namespace moge::serve
