// One client's connection: reads requests, writes whole answers or server-sent events.
#pragma once

#include "moge/serve/asio.h"  // before Boost's own

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace moge::serve {

namespace http = boost::beast::http;

using HttpRequest = http::request<http::string_body>;

struct Timeouts {
  std::chrono::milliseconds header, write;
};

class Connection {
 public:
  Connection(asio::ip::tcp::socket socket, Timeouts timeouts);

  /// The next request; nothing when the client has left. A request that is no HTTP or larger than
  /// kMaxBodyBytes is answered here (400, 413) and ends the connection.
  asio::awaitable<std::optional<HttpRequest>> read();

  asio::awaitable<void> send(int status, std::string_view content_type, std::string body,
                             std::string_view extra_header = {}, std::string_view value = {});

  /// What a browser asks before a request from another page: every method and header is welcome.
  asio::awaitable<void> send_preflight();

  /// Server-sent events: begin_events, any number of event()s, end_events. event() returns false
  /// when the client has left.
  asio::awaitable<void> begin_events();
  asio::awaitable<bool> event(std::string_view data, std::string_view name = {});
  asio::awaitable<void> end_events();

  /// Calls `gone` once if the client closes the connection while its answer is being made. Ends
  /// with the returned guard.
  class Watch;
  std::shared_ptr<Watch> watch(std::function<void()> gone);

  bool keep_alive() const { return keep_alive_; }
  bool head_request() const { return head_; }
  void close();

 private:
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  Timeouts timeouts_;
  unsigned version_ = 11;
  bool keep_alive_ = false, head_ = false;
};

/// Ends the watch at its destruction.
class Connection::Watch {
 public:
  explicit Watch(beast::tcp_stream& stream) : stream_(stream) {}
  ~Watch() { end(); }
  void end();

 private:
  friend class Connection;
  struct Shared {
    bool over = false;
  };
  beast::tcp_stream& stream_;
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace moge::serve
