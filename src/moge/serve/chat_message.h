// The parts of an answer as OpenAI's chat writes them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "moge/serve/output_part.h"

namespace moge::serve {

/// {"role", "content", "reasoning_content", "tool_calls"} of a whole answer; `calls` is what the
/// ids of its calls begin with.
nlohmann::ordered_json chat_message(const OutputParts& parts, const std::string& calls);

/// What some new parts add to a streamed message.
nlohmann::ordered_json chat_delta(const OutputParts& parts, const std::string& calls);

}  // namespace moge::serve
