#include "moge/serve/messages_request.h"

#include "moge/serve/request_fields.h"

namespace moge::serve {

namespace {

/// The texts of a string or of a list of text blocks, joined.
std::string text_of(const Json& content, const char* field) {
  if (content.is_string()) return content.get<std::string>();
  require(content.is_array(), field, "{} is neither a string nor a list of blocks", field);
  std::string text;
  for (const Json& block : content) {
    require(block.is_object() && block.value("type", Json()) == "text" && find(block, "text"),
            field, "a block of {} is not of type text", field);
    text += as_text(block["text"], field);
  }
  return text;
}

/// An assistant's blocks into one message: text, thinking, calls.
Json assistant_message(const Json& blocks) {
  Json message = {{"role", "assistant"}, {"content", ""}};
  std::string text, thinking;
  for (const Json& block : blocks) {
    const std::string type = read_text(block, "type");
    if (type == "text") {
      text += read_text(block, "text");
    } else if (type == "thinking") {
      thinking += read_text(block, "thinking");
    } else if (type == "tool_use") {
      const Json* input = find(block, "input");
      require(input && input->is_object() && find(block, "name"), "messages",
              "a tool_use block lacks its name or its input");
      message["tool_calls"].push_back(
          {{"id", read_text(block, "id")},
           {"type", "function"},
           {"function", {{"name", read_text(block, "name")}, {"arguments", *input}}}});
    } else {
      require(type == "redacted_thinking", "messages", "an assistant's block has the type '{}'",
              type);
    }
  }
  message["content"] = text;
  if (!thinking.empty()) message["reasoning_content"] = thinking;
  return message;
}

/// A user's blocks: each tool_result is a message of its own, the texts follow as one.
void add_user_messages(const Json& blocks, Json& messages) {
  std::string text;
  bool has_text = blocks.empty();
  for (const Json& block : blocks) {
    const std::string type = read_text(block, "type");
    if (type == "tool_result") {
      const Json* content = find(block, "content");
      messages.push_back({{"role", "tool"},
                          {"tool_call_id", read_text(block, "tool_use_id")},
                          {"content", content ? text_of(*content, "messages") : ""}});
      continue;
    }
    require(type == "text", "messages", "a user's block has the type '{}'", type);
    text += read_text(block, "text");
    has_text = true;
  }
  if (has_text) messages.push_back({{"role", "user"}, {"content", text}});
}

void add_message(const Json& message, Json& messages) {
  require(message.is_object(), "messages", "an entry of messages is not an object");
  const std::string role = read_text(message, "role");
  require(role == "user" || role == "assistant" || role == "system", "messages",
          "a message has the role '{}', which is neither user nor assistant", role);
  const Json* content = find(message, "content");
  require(content && (content->is_string() || content->is_array()), "messages",
          "a message's content is neither a string nor a list of blocks");
  if (content->is_string()) {
    messages.push_back({{"role", role}, {"content", *content}});
    return;
  }
  for (const Json& block : *content)
    require(block.is_object(), "messages", "a message's block is not an object");
  if (role == "assistant") {
    messages.push_back(assistant_message(*content));
  } else if (role == "system") {
    messages.push_back({{"role", role}, {"content", text_of(*content, "messages")}});
  } else {
    add_user_messages(*content, messages);
  }
}

Json chat_messages(const Json& body) {
  Json messages = Json::array();
  if (const Json* system = find(body, "system"))
    messages.push_back({{"role", "system"}, {"content", text_of(*system, "system")}});
  const Json* list = find(body, "messages");
  require(list && list->is_array() && !list->empty(), "messages",
          "messages is not a non-empty list");
  for (const Json& message : *list) add_message(message, messages);
  return messages;
}

Json chat_tools(const Json& tools) {
  require(tools.is_array(), "tools", "tools is not a list");
  Json list = Json::array();
  for (const Json& tool : tools) {
    require(tool.is_object() && find(tool, "name"), "tools", "an entry of tools has no name");
    require(find(tool, "input_schema"), "tools", "an entry of tools has no input_schema");
    list.push_back({{"type", "function"},
                    {"function",
                     {{"name", tool["name"]},
                      {"description", read_text(tool, "description")},
                      {"parameters", tool["input_schema"]}}}});
  }
  return list;
}

void read_tool_choice(const Json& choice, Json& chat) {
  require(choice.is_object(), "tool_choice", "tool_choice is not an object");
  const std::string type = read_text(choice, "type");
  if (type == "tool") {
    chat["tool_choice"] = {{"type", "function"},
                           {"function", {{"name", read_text(choice, "name")}}}};
  } else {
    require(type == "auto" || type == "any" || type == "none", "tool_choice",
            "tool_choice has the type '{}', which is none of auto, any, tool and none", type);
    chat["tool_choice"] = type == "any" ? "required" : type;
  }
  if (read_bool(choice, "disable_parallel_tool_use", false)) chat["parallel_tool_calls"] = false;
}

/// Thinking switches the template's variable that Qwen's, Pangu's and others' templates read.
void read_thinking(const Json& thinking, Json& chat) {
  require(thinking.is_object(), "thinking", "thinking is not an object");
  const std::string type = read_text(thinking, "type");
  require(type == "enabled" || type == "disabled" || type == "adaptive", "thinking",
          "thinking has the type '{}', which is none of enabled, adaptive and disabled", type);
  chat["chat_template_kwargs"] = {{"enable_thinking", type != "disabled"}};
}

}  // namespace

ChatRequest parse_messages_request(std::string_view text, bool counts_only) {
  const Json body = parse_body(text);
  require(counts_only || find(body, "max_tokens"), "max_tokens", "max_tokens is missing");
  Json chat = Json::object();
  for (const char* same : {"model", "max_tokens", "temperature", "top_p", "top_k", "stream", "seed",
                           "ignore_eos", "logit_bias", "cache_salt", "priority"})
    if (const Json* value = find(body, same)) chat[same] = *value;
  if (const Json* stops = find(body, "stop_sequences")) {
    require(stops->is_array(), "stop_sequences", "stop_sequences is not a list");
    for (const Json& stop : *stops) as_text(stop, "stop_sequences");
    chat["stop"] = *stops;
  }
  chat["messages"] = chat_messages(body);
  if (const Json* tools = find(body, "tools")) chat["tools"] = chat_tools(*tools);
  if (const Json* choice = find(body, "tool_choice")) read_tool_choice(*choice, chat);
  if (const Json* thinking = find(body, "thinking")) read_thinking(*thinking, chat);
  return chat_request_of(chat);
}

}  // namespace moge::serve
