// Boost.Asio and Beast as this room uses them.
#pragma once

#include <utility>  // Boost 1.74's awaitable.hpp uses std::exchange without it

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/error.hpp>

namespace moge::serve {

namespace asio = boost::asio;
namespace beast = boost::beast;

/// A connected TCP or Unix socket.
using Socket = asio::generic::stream_protocol::socket;

/// co_await something(into(error)): the error instead of an exception.
inline auto into(beast::error_code& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

}  // namespace moge::serve
