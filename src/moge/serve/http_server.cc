#include "moge/serve/http_server.h"

#include "moge/serve/asio.h"  // before Boost's own

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <set>

#include "moge/core/error.h"
#include "moge/serve/connection.h"
#include "moge/serve/listener.h"
#include "moge/serve/routes.h"

namespace moge::serve {

namespace {

using Clock = std::chrono::steady_clock;

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1e3));
}

Timeouts timeouts_of(const ServerOptions& options) {
  return {.idle = milliseconds(options.keep_alive_timeout_s),
          .header = milliseconds(options.header_timeout_s),
          .write = milliseconds(options.write_timeout_s)};
}

}  // namespace

struct HttpServer::State {
  State(const Service& service_in, const ServerOptions& options_in)
      : service(service_in),
        options(options_in),
        tls(make_tls(options)),
        listener(io, options),
        deadline(io) {}

  asio::awaitable<void> accept();
  asio::awaitable<void> serve(std::shared_ptr<Connection> connection);
  void refuse();
  void log_answer(const Connection& connection, const HttpRequest& request,
                  Clock::time_point start) const;
  void begin_stop();
  void end_if_idle();

  const Service& service;
  ServerOptions options;
  asio::io_context io{1};
  std::unique_ptr<asio::ssl::context> tls;
  Listener listener;
  asio::steady_timer deadline;
  std::set<Connection*> idle;  // wait for a request; closed at once by stop()
  int64_t connections = 0, refused = 0;
  Clock::time_point refusal_said{};
  bool stopping = false;
};

asio::awaitable<void> HttpServer::State::accept() {
  while (!stopping) {
    beast::error_code error;
    Socket socket = co_await listener.accept(error);
    if (stopping) break;
    if (error || connections >= options.max_connections) {
      refuse();
      asio::steady_timer pause(io, std::chrono::milliseconds(error ? 50 : 0));
      beast::error_code ignored;
      co_await pause.async_wait(into(ignored));
      continue;  // out of descriptors, or one connection too many: it is closed here
    }
    auto connection =
        std::make_shared<Connection>(std::move(socket), timeouts_of(options), tls.get());
    ++connections;
    asio::co_spawn(io, serve(connection), asio::detached);
  }
}

/// Says it once a second at most.
void HttpServer::State::refuse() {
  ++refused;
  const auto now = Clock::now();
  if (!options.log || now - refusal_said < std::chrono::seconds(1)) return;
  refusal_said = now;
  options.log(fmt::format("refused {} connections so far: {} are open, --max-connections is {}",
                          refused, connections, options.max_connections));
}

void HttpServer::State::log_answer(const Connection& connection, const HttpRequest& request,
                                   Clock::time_point start) const {
  if (!options.log_requests || !options.log) return;
  const std::string target(request.target());
  const std::chrono::duration<double, std::milli> took = Clock::now() - start;
  options.log(fmt::format("{} {} {} {:.1f} ms", std::string(request.method_string()),
                          target.substr(0, target.find('?')), connection.status(), took.count()));
}

asio::awaitable<void> HttpServer::State::serve(std::shared_ptr<Connection> connection) {
  try {
    bool going = co_await connection->handshake();
    while (going) {
      idle.insert(connection.get());
      std::optional<HttpRequest> request = co_await connection->read();
      idle.erase(connection.get());
      if (!request) break;
      const auto start = Clock::now();
      co_await answer(service, *connection, *request);
      log_answer(*connection, *request, start);
      going = connection->keep_alive() && !stopping;
    }
    co_await connection->part();
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
  listener.close();
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

int HttpServer::port() const { return state_->listener.port(); }

void HttpServer::run() {
  asio::co_spawn(state_->io, state_->accept(), asio::detached);
  state_->io.run();
}

void HttpServer::stop() {
  asio::post(state_->io, [state = state_.get()] { state->begin_stop(); });
}

}  // namespace moge::serve
