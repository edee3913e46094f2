// Tools in the body of a chat request.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "moge/serve/api_request.h"
#include "moge/serve/tool_parser.h"

namespace moge::serve {

/// Reads tools, tool_choice and parallel_tool_calls; 400 naming the field that is wrong.
void read_tools(const nlohmann::ordered_json& body, ChatRequest& request);

/// What holds an answer to calls of the tools that the request demands, in the model's form;
/// nothing where it may answer without. Throws ApiError 400 for parameters that are no object's
/// schema.
std::optional<AskedFormat> demanded_calls(const ChatRequest& request, const ToolForm& form);

/// The messages with the arguments of their tool_calls as objects, as templates expect them, where
/// they came as JSON in a string.
nlohmann::ordered_json with_call_objects(nlohmann::ordered_json messages);

}  // namespace moge::serve
