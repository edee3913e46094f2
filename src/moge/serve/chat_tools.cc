#include "moge/serve/chat_tools.h"

#include <algorithm>

#include "moge/serve/request_fields.h"

namespace moge::serve {

namespace {

constexpr size_t kMaxTools = 1024;
constexpr int32_t kMostCalls = 32;  // that one demand can lead to

/// The tool's name.
std::string check_tool(const Json& tool, size_t i) {
  require(tool.is_object() && tool.value("type", Json()) == "function", "tools",
          "tools[{}] is not an object of type function", i);
  const Json* function = find(tool, "function");
  require(function && function->is_object(), "tools", "tools[{}].function is not an object", i);
  const Json* name = find(*function, "name");
  require(name && name->is_string() && !name->get_ref<const std::string&>().empty(), "tools",
          "tools[{}].function.name is not a string with a name", i);
  const Json* parameters = find(*function, "parameters");
  require(!parameters || parameters->is_object(), "tools",
          "tools[{}].function.parameters is not an object", i);
  return name->get<std::string>();
}

/// The name in {"type": "function", "function": {"name": ...}}, or (responses) beside `type`.
std::string chosen_name(const Json& choice, const std::vector<std::string>& names) {
  const Json* function = choice.is_object() ? find(choice, "function") : nullptr;
  if (!function) function = &choice;
  const Json* name = function->is_object() ? find(*function, "name") : nullptr;
  require(
      name && name->is_string(), "tool_choice",
      "tool_choice is none of none, auto, required, an object with a function's name and one of "
      "allowed_tools");
  require(std::find(names.begin(), names.end(), name->get<std::string>()) != names.end(),
          "tool_choice", "tool_choice names '{}', which is not one of tools",
          name->get<std::string>());
  return name->get<std::string>();
}

/// `names` is left with those that may be called.
ToolChoice read_allowed(const Json& choice, std::vector<std::string>& names) {
  const Json* allowed = find(choice, "allowed_tools");
  require(allowed && allowed->is_object(), "tool_choice",
          "tool_choice.allowed_tools is not an object");
  const std::string mode = allowed->value("mode", Json()).dump();
  require(mode == "\"auto\"" || mode == "\"required\"", "tool_choice",
          "tool_choice has the mode {}, which is neither auto nor required", mode);
  const Json* tools = find(*allowed, "tools");
  require(tools && tools->is_array() && !tools->empty(), "tool_choice",
          "tool_choice.allowed_tools.tools is not a non-empty list");
  std::vector<std::string> chosen;
  for (const Json& tool : *tools) chosen.push_back(chosen_name(tool, names));
  names = std::move(chosen);
  return {.kind = mode == "\"auto\"" ? ToolChoice::Kind::kAuto : ToolChoice::Kind::kRequired};
}

ToolChoice read_choice(const Json& body, std::vector<std::string>& names) {
  using Kind = ToolChoice::Kind;
  const Json* choice = find(body, "tool_choice");
  if (!choice) return {.kind = names.empty() ? Kind::kNone : Kind::kAuto};
  if (*choice == "none") return {};
  require(!names.empty(), "tool_choice", "tool_choice is given without tools");
  if (*choice == "auto") return {.kind = Kind::kAuto};
  if (*choice == "required") return {.kind = Kind::kRequired};
  if (choice->is_object() && choice->value("type", Json()) == "allowed_tools")
    return read_allowed(*choice, names);
  return {.kind = Kind::kNamed, .name = chosen_name(*choice, names)};
}

/// A tool's parameters as the schema of an object; without parameters, of an empty one.
std::string arguments_schema(const Json& function) {
  const Json* parameters = find(function, "parameters");
  if (!parameters) return R"({"type":"object","additionalProperties":false})";
  Json schema = *parameters;
  if (!schema.contains("type")) schema["type"] = "object";
  require(schema["type"] == "object", "tools", "the parameters of {} are not of type object",
          function["name"].get<std::string>());
  return schema.dump();
}

grammar::ToolCalls empty_calls(const ToolForm& form) {
  const std::string begin(form.begin), end(form.end), key(form.arguments_key);
  if (form.bare) return {.arguments_key = key, .between = "; "};
  if (form.list)
    return {.arguments_key = key, .before = begin + "[", .between = ", ", .after = "]" + end};
  return {.arguments_key = key,
          .before = begin + "\n",
          .between = "\n" + end + "\n" + begin + "\n",
          .after = "\n" + end};
}

grammar::ToolCalls calls_of(const ChatRequest& request, const ToolForm& form) {
  const ToolChoice& choice = request.tool_choice;
  const bool named = choice.kind == ToolChoice::Kind::kNamed;
  grammar::ToolCalls calls = empty_calls(form);
  for (const Json& tool : Json::parse(request.tools_json)) {
    const Json& function = tool["function"];
    const auto name = function["name"].get<std::string>();
    if (!named || name == choice.name) calls.tools.push_back({name, arguments_schema(function)});
  }
  calls.most = named || !request.parallel_tool_calls ? 1 : kMostCalls;
  return calls;
}

}  // namespace

void hold_to_calls(ChatRequest& request, const ToolForm& form) {
  using Kind = ToolChoice::Kind;
  const Kind kind = request.tool_choice.kind;
  if (kind == Kind::kRequired || kind == Kind::kNamed) {  // a form of the answer's text is moot
    request.asked_format = AskedFormat{.format = {.kind = grammar::OutputFormat::Kind::kToolCalls,
                                                  .calls = calls_of(request, form)},
                                       .field = "tools"};
  } else if (kind == Kind::kAuto && request.asked_format) {
    request.asked_format->format.calls = calls_of(request, form);
    request.asked_format->format.may_call = true;
  }
}

void read_tools(const Json& body, ChatRequest& request) {
  std::vector<std::string> names;
  const Json* tools = find(body, "tools");
  if (tools) {
    require(tools->is_array(), "tools", "tools is not a list");
    require(tools->size() <= kMaxTools, "tools", "tools has {} entries, at most {} are allowed",
            tools->size(), kMaxTools);
    for (const Json& tool : *tools) names.push_back(check_tool(tool, names.size()));
  }
  request.tool_choice = read_choice(body, names);
  request.parallel_tool_calls = read_bool(body, "parallel_tool_calls", true);
  if (names.empty()) return;
  Json allowed = Json::array();  // the model does not hear of the others
  for (const Json& tool : *tools)
    if (std::find(names.begin(), names.end(), tool["function"]["name"].get<std::string>()) !=
        names.end())
      allowed.push_back(tool);
  request.tools_json = allowed.dump();
}

Json with_call_objects(Json messages) {
  for (Json& message : messages) {
    if (!message.contains("tool_calls") || !message["tool_calls"].is_array()) continue;
    for (Json& call : message["tool_calls"]) {
      const Json* function = call.is_object() ? find(call, "function") : nullptr;
      require(function && function->is_object() && find(*function, "name"), "messages",
              "an entry of tool_calls has no function with a name");
      const Json* arguments = find(*function, "arguments");
      if (!arguments || !arguments->is_string()) continue;
      Json object = Json::parse(arguments->get_ref<const std::string&>(), nullptr,
                                /*allow_exceptions=*/false);
      if (object.is_object()) call["function"]["arguments"] = std::move(object);
    }
  }
  return messages;
}

}  // namespace moge::serve
