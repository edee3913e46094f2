#include "moge/serve/connection.h"

#include <poll.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <sstream>
#include <utility>
#include <vector>

#include "moge/core/error.h"
#include "moge/serve/api_error.h"
#include "moge/serve/api_request.h"

namespace moge::serve {

namespace {

constexpr uint32_t kMaxHeaderBytes = 64 << 10;
constexpr const char* kServerName = "moge";
constexpr size_t kFirstRead = 1024;  // an idle connection holds as much
constexpr std::chrono::milliseconds kLookAgain{200}, kDrain{1000};

beast::string_view view(std::string_view text) { return {text.data(), text.size()}; }

std::string header_text(const http::response_header<>& header) {
  std::ostringstream out;
  out << header;
  return std::move(out).str();
}

ApiError unreadable(beast::error_code error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return {431, fmt::format("the header is larger than {} bytes", kMaxHeaderBytes)};
  if (error == http::error::body_limit)
    return {413, fmt::format("the body is larger than {} bytes", kMaxBodyBytes)};
  return {400, "the request is not HTTP: " + error.message()};
}

/// The other side has closed, or broken, the connection; bytes may still wait to be read.
bool has_left(int socket) {
  pollfd look{.fd = socket, .events = POLLRDHUP, .revents = 0};
  return poll(&look, 1, 0) > 0;
}

}  // namespace

/// Ends a read that takes too long but, unlike a stream's own expiry, not the connection: an answer
/// can say so.
class Connection::Deadline {
 public:
  Deadline(Stream& stream, std::chrono::milliseconds after)
      : state_(std::make_shared<State>(stream)) {
    stream.expires_never();
    state_->timer.expires_after(after);
    state_->timer.async_wait([state = state_](beast::error_code error) {
      if (error || state->over) return;
      state->passed = true;
      state->stream.cancel();
    });
  }
  ~Deadline() {
    state_->over = true;
    state_->timer.cancel();
  }
  beast::error_code result(beast::error_code error) const {
    return error && state_->passed ? make_error_code(beast::error::timeout) : error;
  }

 private:
  struct State {
    explicit State(Stream& stream_in) : stream(stream_in), timer(stream_in.get_executor()) {}
    Stream& stream;
    asio::steady_timer timer;
    bool passed = false, over = false;
  };
  std::shared_ptr<State> state_;  // shared: the timer's handler may come after the deadline's end
};

Connection::Connection(Socket socket, Timeouts timeouts, asio::ssl::context* tls)
    : stream_(std::move(socket)), timeouts_(timeouts) {
  beast::error_code ignored;  // a Unix socket has no such option
  stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
  if (tls) tls_.emplace(stream_, *tls);
}

asio::awaitable<bool> Connection::handshake() {
  beast::error_code error;
  stream_.expires_after(timeouts_.header);
  if (tls_) co_await tls_->async_handshake(asio::ssl::stream_base::server, into(error));
  co_return !error;
}

asio::awaitable<beast::error_code> Connection::wait_for_bytes() {
  beast::error_code error;
  if (buffer_.size() > 0) co_return error;
  stream_.expires_after(timeouts_.idle);
  const auto space = buffer_.prepare(kFirstRead);
  size_t got = 0;
  if (tls_) {
    got = co_await tls_->async_read_some(space, into(error));
  } else {
    got = co_await stream_.async_read_some(space, into(error));
  }
  buffer_.commit(got);
  co_return error;
}

template <class Parser>
asio::awaitable<beast::error_code> Connection::read_message(Parser& parser) {
  beast::error_code error;
  {
    const Deadline deadline(stream_, timeouts_.header);
    if (tls_) {
      co_await http::async_read_header(*tls_, buffer_, parser, into(error));
    } else {
      co_await http::async_read_header(stream_, buffer_, parser, into(error));
    }
    error = deadline.result(error);
  }
  if (!error && beast::iequals(parser.get()[http::field::expect], "100-continue") &&
      parser.get().version() >= 11)
    co_await write("HTTP/1.1 100 Continue\r\n\r\n");
  if (error || parser.is_done()) co_return error;
  const Deadline deadline(stream_, timeouts_.header);
  if (tls_) {
    co_await http::async_read(*tls_, buffer_, parser, into(error));
  } else {
    co_await http::async_read(stream_, buffer_, parser, into(error));
  }
  co_return deadline.result(error);
}

asio::awaitable<bool> Connection::write(std::string bytes) {
  stream_.expires_after(timeouts_.write);
  beast::error_code error;
  if (tls_) {
    co_await asio::async_write(*tls_, asio::buffer(bytes), into(error));
  } else {
    co_await asio::async_write(stream_, asio::buffer(bytes), into(error));
  }
  if (error) keep_alive_ = false;
  co_return !error;
}

asio::awaitable<std::optional<HttpRequest>> Connection::read() {
  beast::error_code error = co_await wait_for_bytes();
  if (error) {
    keep_alive_ = false;
    co_return std::nullopt;
  }
  http::request_parser<http::string_body> parser;
  parser.body_limit(kMaxBodyBytes);
  parser.header_limit(kMaxHeaderBytes);
  error = co_await read_message(parser);
  version_ = parser.get().version();
  keep_alive_ = !error && parser.get().keep_alive();
  head_ = parser.get().method() == http::verb::head;
  if (!error) co_return parser.release();
  co_await refuse(error);
  co_return std::nullopt;
}

/// Answers a request that could not be read, unless its client has left.
asio::awaitable<void> Connection::refuse(beast::error_code error) {
  const bool late = error == beast::error::timeout;
  const bool left = error == http::error::end_of_stream ||
                    error.category() != http::make_error_code(http::error::bad_method).category();
  if (left && !late) co_return;
  refused_ = true;
  const ApiError answer =
      late ? ApiError(408, fmt::format("the request has not arrived within {} s",
                                       static_cast<double>(timeouts_.header.count()) / 1e3))
           : unreadable(error);
  co_await send(answer.status(), "application/json", answer.body());
}

/// Reads what a refused client still sends, for a while: closing at once would reset the connection
/// and could take the answer with it.
asio::awaitable<void> Connection::drain() {
  beast::error_code error;
  stream_.socket().shutdown(Socket::shutdown_send, error);
  stream_.expires_after(kDrain);
  std::vector<char> dropped(kFirstRead * 64);
  while (!error) co_await stream_.async_read_some(asio::buffer(dropped), into(error));
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
  status_ = status;
  std::string bytes = header_text(response);
  if (!head_) bytes += response.body();
  co_await write(std::move(bytes));
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
  status_ = 204;
  co_await write(header_text(response));
}

asio::awaitable<void> Connection::begin_events() {
  chunked_ = version_ >= 11;
  if (!chunked_) keep_alive_ = false;
  http::response<http::empty_body> response(http::status::ok, version_);
  response.set(http::field::server, kServerName);
  response.set(http::field::content_type, "text/event-stream; charset=utf-8");
  response.set(http::field::cache_control, "no-cache");
  response.set("X-Accel-Buffering", "no");  // nginx would hold events back
  response.set(http::field::access_control_allow_origin, "*");
  response.keep_alive(keep_alive_);
  if (chunked_) response.chunked(true);
  status_ = 200;
  co_await write(header_text(response));
}

asio::awaitable<bool> Connection::write_events(std::string text) {
  if (chunked_) text = fmt::format("{:x}\r\n{}\r\n", text.size(), text);
  co_return co_await write(std::move(text));
}

asio::awaitable<bool> Connection::event(std::string_view data, std::string_view name) {
  std::string text;
  if (!name.empty()) text.append("event: ").append(name).append("\n");
  text.append("data: ").append(data).append("\n\n");
  co_return co_await write_events(std::move(text));
}

asio::awaitable<bool> Connection::keep_alive_comment() {
  co_return co_await write_events(": still here\n\n");
}

asio::awaitable<void> Connection::end_events() {
  if (chunked_) co_await write("0\r\n\r\n");
}

/// Looks whenever the socket has something to read, and, where that stays unread (a next request,
/// or TLS's goodbye), every now and then.
struct Connection::Watch::Look : std::enable_shared_from_this<Look> {
  Look(Socket& socket_in, std::function<void()> gone_in)
      : socket(socket_in), again(socket_in.get_executor()), gone(std::move(gone_in)) {}

  void wait() {
    socket.async_wait(Socket::wait_read, [self = shared_from_this()](beast::error_code error) {
      if (!error) self->look();
    });
  }
  void look() {
    if (over) return;
    if (has_left(socket.native_handle())) return gone();
    again.expires_after(kLookAgain);
    again.async_wait([self = shared_from_this()](beast::error_code error) {
      if (!error) self->look();
    });
  }

  Socket& socket;
  asio::steady_timer again;
  std::function<void()> gone;
  bool over = false;
};

Connection::Watch::Watch(Socket& socket, std::function<void()> gone)
    : socket_(socket), look_(std::make_shared<Look>(socket, std::move(gone))) {
  look_->wait();
}

void Connection::Watch::end() {
  if (std::exchange(look_->over, true)) return;
  look_->gone = nullptr;
  look_->again.cancel();
  beast::error_code ignored;
  socket_.cancel(ignored);
}

std::shared_ptr<Connection::Watch> Connection::watch(std::function<void()> gone) {
  stream_.expires_never();
  return std::make_shared<Watch>(stream_.socket(), std::move(gone));
}

asio::awaitable<void> Connection::part() {
  beast::error_code ignored;
  stream_.expires_after(kDrain);
  if (tls_) co_await tls_->async_shutdown(into(ignored));
  if (refused_) co_await drain();
}

void Connection::close() {
  beast::error_code ignored;
  stream_.socket().shutdown(Socket::shutdown_both, ignored);
  stream_.socket().close(ignored);
}

}  // namespace moge::serve
