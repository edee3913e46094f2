// POST /v1/completions and /v1/chat/completions.
#pragma once

#include "moge/serve/api_response.h"
#include "moge/serve/connection.h"

namespace moge::serve {

/// Runs the request's answers, whole or streamed, those of a chat split by `form`; throws ApiError
/// before anything was sent.
asio::awaitable<void> generate(const Service& service, Connection& connection, ApiKind kind,
                               const GenerateRequest& request,
                               std::vector<std::vector<int32_t>> prompts,
                               const OutputForm& form = {});

}  // namespace moge::serve
