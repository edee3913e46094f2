#include "moge/serve/connection.h"

#include <sys/socket.h>

#include <boost/asio/write.hpp>
#include <boost/beast/http/chunk_encode.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/write.hpp>
#include <utility>

#include "moge/serve/api_error.h"
#include "moge/serve/api_request.h"

namespace moge::serve {

namespace {

constexpr uint32_t kMaxHeaderBytes = 64 << 10;
constexpr const char* kServerName = "moge";

beast::string_view view(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, Timeouts timeouts)
    : stream_(std::move(socket)), timeouts_(timeouts) {
  beast::error_code ignored;
  stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
}

asio::awaitable<std::optional<HttpRequest>> Connection::read() {
  http::request_parser<http::string_body> parser;
  parser.body_limit(kMaxBodyBytes);
  parser.header_limit(kMaxHeaderBytes);
  stream_.expires_after(timeouts_.header);
  beast::error_code error;
  co_await http::async_read_header(stream_, buffer_, parser, into(error));
  if (!error && parser.get()[http::field::expect] == "100-continue") {
    const std::string_view go = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await asio::async_write(stream_, asio::buffer(go), into(error));
  }
  if (!error) co_await http::async_read(stream_, buffer_, parser, into(error));
  version_ = parser.get().version();
  keep_alive_ = !error && parser.get().keep_alive();
  head_ = parser.get().method() == http::verb::head;
  if (!error) co_return parser.release();
  const bool left = error == http::error::end_of_stream || error == beast::error::timeout ||
                    error.category() != http::make_error_code(http::error::bad_method).category();
  if (left) co_return std::nullopt;
  const bool large = error == http::error::body_limit || error == http::error::buffer_overflow ||
                     error == http::error::header_limit;
  const ApiError answer =
      large ? ApiError(413, "the body is larger than " + std::to_string(kMaxBodyBytes) + " bytes")
            : ApiError(400, "the request is not HTTP: " + error.message());
  co_await send(answer.status(), "application/json", answer.body());
  co_return std::nullopt;
}

asio::awaitable<void> Connection::send(int status, std::string_view content_type, std::string body,
                                       std::string_view extra_header, std::string_view value) {
  http::response<http::string_body> response(static_cast<http::status>(status), version_);
  response.set(http::field::server, kServerName);
  response.set(http::field::content_type, view(content_type));
  response.set("X-Content-Type-Options", "nosniff");
  response.set(http::field::access_control_allow_origin, "*");
  if (!extra_header.empty()) response.set(view(extra_header), view(value));
  response.keep_alive(keep_alive_);
  response.body() = std::move(body);
  response.prepare_payload();
  if (head_) response.body().clear();  // Content-Length stays
  stream_.expires_after(timeouts_.write);
  beast::error_code error;
  co_await http::async_write(stream_, response, into(error));
  if (error) keep_alive_ = false;
}

asio::awaitable<void> Connection::send_preflight() {
  http::response<http::empty_body> response(http::status::no_content, version_);
  response.set(http::field::server, kServerName);
  response.set(http::field::access_control_allow_origin, "*");
  response.set(http::field::access_control_allow_methods, "GET, HEAD, POST, OPTIONS");
  response.set(http::field::access_control_allow_headers,
               "Authorization, Content-Type, X-Api-Key, *");
  response.set(http::field::access_control_max_age, "86400");
  response.keep_alive(keep_alive_);
  stream_.expires_after(timeouts_.write);
  beast::error_code error;
  co_await http::async_write(stream_, response, into(error));
  if (error) keep_alive_ = false;
}

asio::awaitable<void> Connection::begin_events() {
  http::response<http::empty_body> response(http::status::ok, version_);
  response.set(http::field::server, kServerName);
  response.set(http::field::content_type, "text/event-stream; charset=utf-8");
  response.set(http::field::cache_control, "no-cache");
  response.set(http::field::access_control_allow_origin, "*");
  response.keep_alive(keep_alive_);
  response.chunked(true);
  http::response_serializer<http::empty_body> serializer(response);
  stream_.expires_after(timeouts_.write);
  beast::error_code error;
  co_await http::async_write_header(stream_, serializer, into(error));
  if (error) keep_alive_ = false;
}

asio::awaitable<bool> Connection::event(std::string_view data, std::string_view name) {
  std::string text;
  if (!name.empty()) text.append("event: ").append(name).append("\n");
  text.append("data: ").append(data).append("\n\n");
  stream_.expires_after(timeouts_.write);
  beast::error_code error;
  co_await asio::async_write(stream_, http::make_chunk(asio::buffer(text)), into(error));
  if (error) keep_alive_ = false;
  co_return !error;
}

asio::awaitable<void> Connection::end_events() {
  stream_.expires_after(timeouts_.write);
  beast::error_code error;
  co_await asio::async_write(stream_, http::make_chunk_last(), into(error));
  if (error) keep_alive_ = false;
}

std::shared_ptr<Connection::Watch> Connection::watch(std::function<void()> gone) {
  stream_.expires_never();
  auto guard = std::make_shared<Watch>(stream_);
  auto& socket = stream_.socket();
  socket.async_wait(
      asio::ip::tcp::socket::wait_read,
      [shared = guard->shared_, gone = std::move(gone), &socket](beast::error_code error) {
        if (shared->over || error) return;
        char byte;
        const ssize_t got = recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        // Bytes of a next request may wait; the end of the stream or an error means it has left.
        if (got == 0 || (got < 0 && errno != EAGAIN)) gone();
      });
  return guard;
}

void Connection::Watch::end() {
  if (std::exchange(shared_->over, true)) return;
  beast::error_code ignored;
  stream_.socket().cancel(ignored);
}

void Connection::close() {
  beast::error_code ignored;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  stream_.socket().close(ignored);
}

}  // namespace moge::serve
