#include "moge/serve/chat_message.h"

#include <nlohmann/json.hpp>

namespace moge::serve {

using Json = nlohmann::ordered_json;

namespace {

void append(Json& object, const char* key, const std::string& text) {
  if (!object.contains(key)) object[key] = "";
  object[key].get_ref<std::string&>() += text;
}

/// The entry of a call among those that the delta has already.
Json& entry_of(Json& delta, int call) {
  Json& list = delta["tool_calls"];
  if (list.empty() || list.back()["index"] != call)
    list.push_back({{"index", call}, {"function", Json::object()}});
  return list.back();
}

}  // namespace

Json chat_delta(const OutputParts& parts, const std::string& calls) {
  Json delta = Json::object();
  for (const OutputPart& part : parts) {
    switch (part.kind) {
      case OutputPart::Kind::kContent:
        append(delta, "content", part.text);
        break;
      case OutputPart::Kind::kReasoning:
        append(delta, "reasoning_content", part.text);
        break;
      case OutputPart::Kind::kCallName: {
        Json& entry = entry_of(delta, part.call);
        entry["id"] = calls + std::to_string(part.call);
        entry["type"] = "function";
        entry["function"] = {{"name", part.text}, {"arguments", ""}};
        break;
      }
      case OutputPart::Kind::kCallArguments:
        append(entry_of(delta, part.call)["function"], "arguments", part.text);
        break;
    }
  }
  return delta;
}

Json chat_message(const OutputParts& parts, const std::string& calls) {
  Json delta = chat_delta(parts, calls);
  Json message = {{"role", "assistant"}, {"content", delta.value("content", Json())}};
  if (delta.contains("reasoning_content"))
    message["reasoning_content"] = delta["reasoning_content"];
  if (!delta.contains("tool_calls")) {
    if (message["content"].is_null()) message["content"] = "";
    return message;
  }
  for (Json& call : delta["tool_calls"]) call.erase("index");
  message["tool_calls"] = delta["tool_calls"];
  return message;
}

}  // namespace moge::serve
