// Tools in the body of a chat request.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "moge/serve/api_request.h"
#include "moge/serve/tool_parser.h"

namespace moge::serve {

/// Reads tools, tool_choice and parallel_tool_calls; 400 naming the field that is wrong.
void read_tools(const nlohmann::ordered_json& body, ChatRequest& request);

/// Holds an answer to calls, in the model's form, that the request demands, and lets an answer
/// whose form is given call where it may. Throws ApiError 400 for parameters that are no object's
/// schema.
void hold_to_calls(ChatRequest& request, const ToolForm& form);

/// The messages with the arguments of their tool_calls as objects, as templates expect them, where
/// they came as JSON in a string.
nlohmann::ordered_json with_call_objects(nlohmann::ordered_json messages);

}  // namespace moge::serve
