// HTTP/1.1 server: one thread for all connections, one coroutine each (Boost.Beast).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "moge/serve/service.h"

namespace moge::serve {

struct ServerOptions {
  std::string host = "127.0.0.1";
  int port = 8080;               ///< 0 = any free one
  int max_connections = 1024;    ///< further ones are closed at once
  double header_timeout_s = 30;  ///< for a request to arrive; also how long keep-alive idles
  double write_timeout_s = 30;   ///< for a client to take a piece of the answer
  double drain_timeout_s = 30;   ///< for running requests after stop()
};

class HttpServer {
 public:
  /// Binds and listens; throws Error with address, port and the system's reason.
  HttpServer(const Service& service, const ServerOptions& options);
  ~HttpServer();

  int port() const;
  /// Serves until stop(). Requests that run then may end, for drain_timeout_s at most.
  void run();
  /// From any thread.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moge::serve
