// Bodies of OpenAI's /v1/responses as the chats they mean.
#pragma once

#include <string>
#include <string_view>

#include "moge/serve/api_request.h"

namespace moge::serve {

struct ResponsesRequest {
  ChatRequest chat;
  std::string echo_json;  ///< the fields that an answer repeats
};

/// Throws ApiError as parse_chat_request does. Answers are not stored: 501 for a request that
/// builds on an earlier one.
ResponsesRequest parse_responses_request(std::string_view body);

}  // namespace moge::serve
