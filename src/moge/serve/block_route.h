// Runs one answer for an API of blocks.
#pragma once

#include "moge/serve/block_api.h"
#include "moge/serve/connection.h"
#include "moge/serve/service.h"

namespace moge::serve {

/// Whole or streamed, as the request says; throws ApiError before anything was sent.
asio::awaitable<void> answer_in_blocks(const Service& service, Connection& connection,
                                       const ChatRequest& request, PreparedChat chat,
                                       BlockApi& api);

}  // namespace moge::serve
