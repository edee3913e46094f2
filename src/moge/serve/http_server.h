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
  int port = 8080;                        ///< 0 = any free one
  std::string uds;                        ///< path of a Unix socket to listen on instead
  std::string ssl_keyfile, ssl_certfile;  ///< PEM files; both or none
  int64_t max_connections = 1024;         ///< further ones are closed at once
  double keep_alive_timeout_s = 120;      ///< between two requests of a connection
  double header_timeout_s = 30;           ///< for a request to arrive
  double write_timeout_s = 30;            ///< for a client to take a piece of the answer
  double drain_timeout_s = 30;            ///< for running requests after stop()
  bool log_requests = false;              ///< a line for each: method, path, status, time
  std::function<void(const std::string& line)> log;  ///< on the network's thread; may be empty
};

class HttpServer {
 public:
  /// Binds and listens; throws Error with address, port and the system's reason.
  HttpServer(const Service& service, const ServerOptions& options);
  ~HttpServer();

  int port() const;  ///< 0 with a Unix socket
  /// Serves until stop(). Requests that run then may end, for drain_timeout_s at most.
  void run();
  /// From any thread.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moge::serve
