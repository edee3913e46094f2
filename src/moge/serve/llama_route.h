// llama.cpp's POST /completion.
#pragma once

#include <string>

#include "moge/serve/connection.h"
#include "moge/serve/service.h"

namespace moge::serve {

asio::awaitable<void> llama_completion(const Service& service, Connection& connection,
                                       const std::string& body);

}  // namespace moge::serve
