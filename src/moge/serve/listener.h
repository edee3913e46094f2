// The socket that a server listens on.
#pragma once

#include "moge/serve/asio.h"  // before Boost's own

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

#include "moge/serve/http_server.h"

namespace moge::serve {

/// A TCP port or a Unix socket; one of them is open.
class Listener {
 public:
  /// Throws Error with the address and the system's reason.
  Listener(asio::io_context& io, const ServerOptions& options);
  ~Listener();
  asio::awaitable<Socket> accept(beast::error_code& error);
  void close();
  int port() const { return port_; }

 private:
  void listen_on_port(const ServerOptions& options);
  void listen_on_path(const std::string& path);

  asio::ip::tcp::acceptor tcp_;
  asio::local::stream_protocol::acceptor local_;
  std::string path_;
  int port_ = 0;
};

/// TLS with the key and the certificate of the options; null where they name none. Throws Error
/// naming the file.
std::unique_ptr<asio::ssl::context> make_tls(const ServerOptions& options);

}  // namespace moge::serve
