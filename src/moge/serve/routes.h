// From a request's method and path to its answer.
#pragma once

#include "moge/serve/connection.h"
#include "moge/serve/service.h"

namespace moge::serve {

/// Answers one request, whatever it is; errors become OpenAI-style bodies.
asio::awaitable<void> answer(const Service& service, Connection& connection,
                             const HttpRequest& request);

}  // namespace moge::serve
