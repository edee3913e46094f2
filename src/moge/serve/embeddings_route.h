// POST /v1/embeddings: the mean of a text's last hidden states.
#pragma once

#include <span>
#include <string>

#include "moge/serve/connection.h"
#include "moge/serve/service.h"

namespace moge::serve {

asio::awaitable<void> embeddings(const Service& service, Connection& connection,
                                 const std::string& body);

/// The bytes of the values in base64.
std::string base64_of(std::span<const float> values);

}  // namespace moge::serve
