// Bodies of Anthropic's /v1/messages and /v1/messages/count_tokens as the chats they mean.
#pragma once

#include <string_view>

#include "moge/serve/api_request.h"

namespace moge::serve {

/// Throws ApiError as parse_chat_request does. `counts_only`: max_tokens may be absent.
ChatRequest parse_messages_request(std::string_view body, bool counts_only = false);

}  // namespace moge::serve
