#include "moge/serve/listener.h"

#include <sys/stat.h>
#include <unistd.h>

#include "moge/core/error.h"

namespace moge::serve {

namespace {

/// A socket that nobody listens on any more, left by a server that was killed.
bool is_left_over(asio::io_context& io, const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return false;
  asio::local::stream_protocol::socket probe(io);
  beast::error_code error;
  probe.connect(asio::local::stream_protocol::endpoint(path), error);
  return error == asio::error::connection_refused;
}

}  // namespace

Listener::Listener(asio::io_context& io, const ServerOptions& options) : tcp_(io), local_(io) {
  if (options.uds.empty()) {
    listen_on_port(options);
  } else {
    if (is_left_over(io, options.uds)) unlink(options.uds.c_str());
    listen_on_path(options.uds);
  }
}

Listener::~Listener() {
  if (!path_.empty()) unlink(path_.c_str());
}

void Listener::listen_on_port(const ServerOptions& options) {
  beast::error_code error;
  const auto address =
      asio::ip::make_address(options.host == "localhost" ? "127.0.0.1" : options.host, error);
  check(!error, "--host '{}' is not an IP address", options.host);
  check(options.port >= 0 && options.port <= 65535, "--port {} is not between 0 and 65535",
        options.port);
  const asio::ip::tcp::endpoint endpoint(address, static_cast<uint16_t>(options.port));
  tcp_.open(endpoint.protocol(), error);
  if (!error) tcp_.set_option(asio::ip::tcp::acceptor::reuse_address(true), error);
  if (!error) tcp_.bind(endpoint, error);
  if (!error) tcp_.listen(asio::socket_base::max_listen_connections, error);
  check(!error, "cannot listen on {} port {}: {}", options.host, options.port, error.message());
  port_ = tcp_.local_endpoint().port();
}

void Listener::listen_on_path(const std::string& path) {
  constexpr size_t kLongestPath = 107;  // of sockaddr_un
  check(path.size() <= kLongestPath, "--uds {} has {} characters, the system allows {}", path,
        path.size(), kLongestPath);
  const asio::local::stream_protocol::endpoint endpoint(path);
  beast::error_code error;
  local_.open(endpoint.protocol(), error);
  if (!error) local_.bind(endpoint, error);
  if (!error) local_.listen(asio::socket_base::max_listen_connections, error);
  check(!error, "cannot listen on {}: {}", path, error.message());
  path_ = path;
}

asio::awaitable<Socket> Listener::accept(beast::error_code& error) {
  if (tcp_.is_open()) {
    asio::ip::tcp::socket socket = co_await tcp_.async_accept(into(error));
    if (error) co_return Socket(tcp_.get_executor());
    co_return Socket(std::move(socket));
  }
  asio::local::stream_protocol::socket socket = co_await local_.async_accept(into(error));
  if (error) co_return Socket(local_.get_executor());
  co_return Socket(std::move(socket));
}

void Listener::close() {
  beast::error_code ignored;
  tcp_.close(ignored);
  local_.close(ignored);
}

std::unique_ptr<asio::ssl::context> make_tls(const ServerOptions& options) {
  check(options.ssl_keyfile.empty() == options.ssl_certfile.empty(),
        "--ssl-keyfile and --ssl-certfile go together: one of them is missing");
  if (options.ssl_keyfile.empty()) return nullptr;
  auto tls = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  SSL_CTX_set_min_proto_version(tls->native_handle(), TLS1_2_VERSION);
  beast::error_code error;
  tls->use_certificate_chain_file(options.ssl_certfile, error);
  check(!error, "--ssl-certfile {}: {}", options.ssl_certfile, error.message());
  tls->use_private_key_file(options.ssl_keyfile, asio::ssl::context::pem, error);
  check(!error, "--ssl-keyfile {}: {}", options.ssl_keyfile, error.message());
  return tls;
}

}  // namespace moge::serve
