// One client's connection: reads requests, writes whole answers or server-sent events.
#pragma once

#include "moge/serve/asio.h"  // before Boost's own

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
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
  std::chrono::milliseconds idle;    ///< between two requests
  std::chrono::milliseconds header;  ///< for a request to arrive, from its first byte on
  std::chrono::milliseconds write;   ///< for a client to take a piece of an answer
};

class Connection {
 public:
  /// `tls`: null for plain text; must outlive the connection.
  Connection(Socket socket, Timeouts timeouts, asio::ssl::context* tls);

  /// Agrees on TLS, if it is used; false when that failed.
  asio::awaitable<bool> handshake();

  /// The next request; nothing when the client has left. A request that is no HTTP, too large or
  /// too slow is answered here (400, 413 or 431, 408) and ends the connection.
  asio::awaitable<std::optional<HttpRequest>> read();

  asio::awaitable<void> send(int status, std::string_view content_type, std::string body,
                             std::string_view extra_header = {}, std::string_view value = {});

  /// What a browser asks before a request from another page: every method and header is welcome.
  asio::awaitable<void> send_preflight();

  /// Server-sent events: begin_events, any number of event()s, end_events. event() returns false
  /// when the client has left. HTTP/1.0 knows no chunks: there the connection's end ends them.
  asio::awaitable<void> begin_events();
  asio::awaitable<bool> event(std::string_view data, std::string_view name = {});
  asio::awaitable<bool> keep_alive_comment();  ///< nothing, said so that nobody hangs up
  asio::awaitable<void> end_events();

  /// Calls `gone` once if the client closes the connection while its answer is being made. Ends
  /// with the returned guard.
  class Watch;
  std::shared_ptr<Watch> watch(std::function<void()> gone);

  bool keep_alive() const { return keep_alive_; }
  int status() const { return status_; }  ///< of the last answer
  /// Says goodbye in TLS, if it is used, and to a client that still sends what nobody will read.
  /// close() afterwards.
  asio::awaitable<void> part();
  void close();

 private:
  using Stream = beast::basic_stream<asio::generic::stream_protocol>;

  class Deadline;
  asio::awaitable<beast::error_code> wait_for_bytes();
  template <class Parser>
  asio::awaitable<beast::error_code> read_message(Parser& parser);
  asio::awaitable<bool> write(std::string bytes);
  asio::awaitable<bool> write_events(std::string text);
  asio::awaitable<void> refuse(beast::error_code error);
  asio::awaitable<void> drain();

  Stream stream_;
  std::optional<asio::ssl::stream<Stream&>> tls_;
  beast::flat_buffer buffer_;
  Timeouts timeouts_;
  unsigned version_ = 11;
  int status_ = 0;
  bool keep_alive_ = false, head_ = false, chunked_ = false;
  bool refused_ = false;  // the client may still be sending
};

/// Ends the watch at its destruction.
class Connection::Watch {
 public:
  Watch(Socket& socket, std::function<void()> gone);
  ~Watch() { end(); }
  void end();

 private:
  friend class Connection;
  struct Look;
  Socket& socket_;
  std::shared_ptr<Look> look_;
};

}  // namespace moge::serve
