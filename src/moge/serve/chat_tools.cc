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

ToolChoice read_choice(const Json& body, const std::vector<std::string>& names) {
  using Kind = ToolChoice::Kind;
  const Json* choice = find(body, "tool_choice");
  if (!choice) return {.kind = names.empty() ? Kind::kNone : Kind::kAuto};
  if (*choice == "none") return {};
  require(!names.empty(), "tool_choice", "tool_choice is given without tools");
  if (*choice == "auto") return {.kind = Kind::kAuto};
  if (*choice == "required") return {.kind = Kind::kRequired};
  const Json* function = choice->is_object() ? find(*choice, "function") : nullptr;
  const Json* name = function && function->is_object() ? find(*function, "name") : nullptr;
  require(name && name->is_string(), "tool_choice",
          "tool_choice is none of none, auto, required and an object with a function's name");
  require(std::find(names.begin(), names.end(), name->get<std::string>()) != names.end(),
          "tool_choice", "tool_choice names '{}', which is not one of tools",
          name->get<std::string>());
  return {.kind = Kind::kNamed, .name = name->get<std::string>()};
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

}  // namespace

std::optional<AskedFormat> demanded_calls(const ChatRequest& request, const ToolForm& form) {
  using Kind = ToolChoice::Kind;
  const ToolChoice& choice = request.tool_choice;
  if (choice.kind != Kind::kRequired && choice.kind != Kind::kNamed) return {};
  const bool named = choice.kind == Kind::kNamed;
  grammar::ToolCalls calls = empty_calls(form);
  for (const Json& tool : Json::parse(request.tools_json)) {
    const Json& function = tool["function"];
    const auto name = function["name"].get<std::string>();
    if (!named || name == choice.name) calls.tools.push_back({name, arguments_schema(function)});
  }
  calls.most = named || !request.parallel_tool_calls ? 1 : kMostCalls;
  return AskedFormat{
      .format = {.kind = grammar::OutputFormat::Kind::kToolCalls, .calls = std::move(calls)},
      .field = "tools"};
}

void read_tools(const Json& body, ChatRequest& request) {
  std::vector<std::string> names;
  if (const Json* tools = find(body, "tools")) {
    require(tools->is_array(), "tools", "tools is not a list");
    require(tools->size() <= kMaxTools, "tools", "tools has {} entries, at most {} are allowed",
            tools->size(), kMaxTools);
    for (const Json& tool : *tools) names.push_back(check_tool(tool, names.size()));
    if (!names.empty()) request.tools_json = tools->dump();
  }
  request.tool_choice = read_choice(body, names);
  request.parallel_tool_calls = read_bool(body, "parallel_tool_calls", true);
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
