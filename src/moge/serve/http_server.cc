#include "moge/serve/http_server.h"

#include "moge/serve/asio.h"  // before Boost's own

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <set>

#include "moge/core/error.h"
#include "moge/serve/connection.h"
#include "moge/serve/routes.h"

namespace moge::serve {

using asio::ip::tcp;

namespace {

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1e3));
}

tcp::acceptor listen(asio::io_context& io, const ServerOptions& options) {
  beast::error_code error;
  const auto address =
      asio::ip::make_address(options.host == "localhost" ? "127.0.0.1" : options.host, error);
  check(!error, "--host '{}' is not an IP address", options.host);
  check(options.port >= 0 && options.port <= 65535, "--port {} is not between 0 and 65535",
        options.port);
  const tcp::endpoint endpoint(address, static_cast<uint16_t>(options.port));
  tcp::acceptor acceptor(io);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  check(!error, "cannot listen on {} port {}: {}", options.host, options.port, error.message());
  return acceptor;
}

}  // namespace

struct HttpServer::State {
  State(const Service& service_in, const ServerOptions& options_in)
      : service(service_in), options(options_in), acceptor(listen(io, options)), deadline(io) {}

  asio::awaitable<void> accept();
  asio::awaitable<void> serve(std::shared_ptr<Connection> connection);
  void begin_stop();
  void end_if_idle();

  const Service& service;
  ServerOptions options;
  asio::io_context io{1};
  tcp::acceptor acceptor;
  asio::steady_timer deadline;
  std::set<Connection*> idle;  // wait for a request; closed at once by stop()
  int connections = 0;
  bool stopping = false;
};

asio::awaitable<void> HttpServer::State::accept() {
  while (!stopping) {
    beast::error_code error;
    tcp::socket socket = co_await acceptor.async_accept(into(error));
    if (stopping) break;
    if (error || connections >= options.max_connections) {
      asio::steady_timer pause(io, std::chrono::milliseconds(error ? 50 : 0));
      beast::error_code ignored;
      co_await pause.async_wait(into(ignored));
      continue;  // out of descriptors, or one connection too many: it is closed here
    }
    auto connection = std::make_shared<Connection>(
        std::move(socket),
        Timeouts{milliseconds(options.header_timeout_s), milliseconds(options.write_timeout_s)});
    ++connections;
    asio::co_spawn(io, serve(connection), asio::detached);
  }
}

asio::awaitable<void> HttpServer::State::serve(std::shared_ptr<Connection> connection) {
  try {
    do {
      idle.insert(connection.get());
      std::optional<HttpRequest> request = co_await connection->read();
      idle.erase(connection.get());
      if (!request) break;
      co_await answer(service, *connection, *request);
    } while (connection->keep_alive() && !stopping);
  } catch (const std::exception&) {
    // The connection broke between two writes; its requests were cancelled on the way out.
  }
  idle.erase(connection.get());
  connection->close();
  --connections;
  end_if_idle();
}

void HttpServer::State::begin_stop() {
  if (std::exchange(stopping, true)) return;
  beast::error_code ignored;
  acceptor.close(ignored);
  for (Connection* connection : std::set<Connection*>(idle)) connection->close();
  deadline.expires_after(milliseconds(options.drain_timeout_s));
  deadline.async_wait([this](beast::error_code error) {
    if (!error) io.stop();
  });
  end_if_idle();
}

void HttpServer::State::end_if_idle() {
  if (stopping && connections == 0) deadline.cancel();
}

HttpServer::HttpServer(const Service& service, const ServerOptions& options)
    : state_(std::make_unique<State>(service, options)) {}
HttpServer::~HttpServer() = default;

int HttpServer::port() const { return state_->acceptor.local_endpoint().port(); }

void HttpServer::run() {
  asio::co_spawn(state_->io, state_->accept(), asio::detached);
  state_->io.run();
}

void HttpServer::stop() {
  asio::post(state_->io, [state = state_.get()] { state->begin_stop(); });
}

}  // namespace moge::serve
