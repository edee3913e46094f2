// From a request's method and path to its answer.
#pragma once

#include <span>
#include <string_view>

#include "moge/serve/connection.h"
#include "moge/serve/service.h"

namespace moge::serve {

/// A request as the answer of its route sees it.
struct Asked {
  const HttpRequest& request;
  std::string_view rest;  ///< of the path, where the route's ends in a name
};

/// HEAD is answered wherever GET is, OPTIONS everywhere.
struct Route {
  std::string_view path;  ///< may end in "{name}": in its place stands anything
  bool get = false, post = false;
  asio::awaitable<void> (*answer)(const Service&, Connection&, const Asked&) = nullptr;
};

/// All that the server has; /openapi.json describes the same.
std::span<const Route> routes();

/// Answers one request, whatever it is; errors become OpenAI-style bodies.
asio::awaitable<void> answer(const Service& service, Connection& connection,
                             const HttpRequest& request);

}  // namespace moge::serve
