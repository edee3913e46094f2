#include "moge/serve/responses_request.h"

#include "moge/serve/request_fields.h"

namespace moge::serve {

namespace {

/// A string, or the texts of a list of parts {"type": "input_text", "text": ...}.
std::string text_of(const Json& content) {
  if (content.is_string()) return content.get<std::string>();
  require(content.is_array(), "input", "a content of input is neither a string nor a list");
  std::string text;
  for (const Json& part : content) {
    require(part.is_object(), "input", "a part of input is not an object");
    const std::string type = read_text(part, "type");
    require(type == "input_text" || type == "output_text" || type == "text", "input",
            "a part of input has the type '{}'", type);
    text += read_text(part, "text");
  }
  return text;
}

void add_message(const Json& item, Json& messages) {
  const std::string role = read_text(item, "role");
  require(role == "user" || role == "assistant" || role == "system" || role == "developer", "input",
          "a message of input has the role '{}'", role);
  const Json* content = find(item, "content");
  require(content, "input", "a message of input has no content");
  messages.push_back({{"role", role}, {"content", text_of(*content)}});
}

/// Calls belong to the assistant's message before them.
void add_call(const Json& item, Json& messages) {
  if (messages.empty() || messages.back()["role"] != "assistant")
    messages.push_back({{"role", "assistant"}, {"content", ""}});
  messages.back()["tool_calls"].push_back(
      {{"id", read_text(item, "call_id")},
       {"type", "function"},
       {"function",
        {{"name", read_text(item, "name")}, {"arguments", read_text(item, "arguments", "{}")}}}});
}

void add_item(const Json& item, Json& messages) {
  require(item.is_object(), "input", "an item of input is not an object");
  const std::string type = read_text(item, "type", "message");
  if (type == "message") return add_message(item, messages);
  if (type == "function_call") return add_call(item, messages);
  if (type == "function_call_output") {
    const Json* output = find(item, "output");
    require(output, "input", "a function_call_output has no output");
    messages.push_back({{"role", "tool"},
                        {"tool_call_id", read_text(item, "call_id")},
                        {"content", text_of(*output)}});
    return;
  }
  require(type == "reasoning", "input", "an item of input has the type '{}'", type);
}

Json chat_messages(const Json& body) {
  Json messages = Json::array();
  if (find(body, "instructions"))
    messages.push_back({{"role", "system"}, {"content", read_text(body, "instructions")}});
  const Json* input = find(body, "input");
  require(input && (input->is_string() || input->is_array()), "input",
          "input is neither a string nor a list of items");
  if (input->is_string()) {
    messages.push_back({{"role", "user"}, {"content", *input}});
  } else {
    for (const Json& item : *input) add_item(item, messages);
  }
  require(!messages.empty(), "input", "input is empty");
  return messages;
}

Json chat_tools(const Json& tools) {
  require(tools.is_array(), "tools", "tools is not a list");
  Json list = Json::array();
  for (const Json& tool : tools) {
    require(tool.is_object(), "tools", "an entry of tools is not an object");
    const std::string type = read_text(tool, "type");
    if (type != "function")
      throw ApiError(501, fmt::format("tools of type '{}' are not on this server", type), "tools");
    Json function = tool;
    function.erase("type");
    list.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  return list;
}

Json chat_tool_choice(const Json& choice) {
  if (choice.is_object() && choice.value("type", Json()) == "allowed_tools")
    return {{"type", "allowed_tools"}, {"allowed_tools", choice}};
  if (!choice.is_object() || !find(choice, "name")) return choice;
  return {{"type", "function"}, {"function", {{"name", choice["name"]}}}};
}

/// text.format is the chat's response_format, with the schema one level higher.
void read_format(const Json& text, Json& chat) {
  require(text.is_object(), "text", "text is not an object");
  const Json* format = find(text, "format");
  if (!format) return;
  require(format->is_object(), "text", "text.format is not an object");
  const std::string type = read_text(*format, "type");
  if (type == "text") return;
  Json wanted = {{"type", type}};
  if (type == "json_schema") {
    wanted["json_schema"] = *format;
    wanted["json_schema"].erase("type");
  }
  chat["response_format"] = std::move(wanted);
}

std::string echo_of(const Json& body) {
  Json echo = {{"instructions", nullptr},
               {"max_output_tokens", nullptr},
               {"parallel_tool_calls", true},
               {"previous_response_id", nullptr},
               {"reasoning", {{"effort", nullptr}, {"summary", nullptr}}},
               {"store", false},
               {"temperature", 1.0},
               {"text", {{"format", {{"type", "text"}}}}},
               {"tool_choice", "auto"},
               {"tools", Json::array()},
               {"top_p", 1.0},
               {"truncation", "disabled"},
               {"user", nullptr},
               {"metadata", Json::object()}};
  for (const auto& [key, value] : echo.items())
    if (const Json* given = find(body, key.c_str()); given && key != "store") echo[key] = *given;
  return echo.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

ResponsesRequest parse_responses_request(std::string_view text) {
  const Json body = parse_body(text);
  refuse_missing_features(body, {"previous_response_id", "background", "conversation", "prompt"});
  Json chat = Json::object();
  for (const char* same :
       {"model", "temperature", "top_p", "top_k", "stream", "seed", "ignore_eos", "logit_bias",
        "stop", "parallel_tool_calls", "cache_salt", "priority", "chat_template_kwargs"})
    if (const Json* value = find(body, same)) chat[same] = *value;
  if (find(body, "max_output_tokens"))
    chat["max_tokens"] = read_integer_between(body, "max_output_tokens", 1, 1, 1 << 24);
  chat["messages"] = chat_messages(body);
  if (const Json* tools = find(body, "tools")) chat["tools"] = chat_tools(*tools);
  const Json* choice = find(body, "tool_choice");
  if (choice && !(chat.value("tools", Json::array()).empty() && *choice == "auto"))
    chat["tool_choice"] = chat_tool_choice(*choice);
  if (const Json* format = find(body, "text")) read_format(*format, chat);
  return {.chat = chat_request_of(chat), .echo_json = echo_of(body)};
}

}  // namespace moge::serve
