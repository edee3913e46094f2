// Requests that are conversations: OpenAI's chat and responses, Anthropic's messages.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "moge/serve/connection.h"
#include "moge/serve/service.h"

namespace moge::serve {

asio::awaitable<void> chat_completions(const Service& service, Connection& connection,
                                       const std::string& body);
asio::awaitable<void> messages(const Service& service, Connection& connection,
                               const std::string& body);
asio::awaitable<void> responses(const Service& service, Connection& connection,
                                const std::string& body);
/// POST /v1/messages/count_tokens
nlohmann::ordered_json count_tokens(const Service& service, std::string_view body);

}  // namespace moge::serve
