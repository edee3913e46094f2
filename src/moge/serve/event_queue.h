// Hands items from the engine's thread to a coroutine on the network's thread.
#pragma once

#include "moge/serve/asio.h"  // before Boost's own

#include <boost/asio/post.hpp>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace moge::serve {

/// One reader, any number of writers. push() never blocks on the network. shared_ptr: writers and
/// reader end in no fixed order; the reader closes the queue, after which it holds nothing of the
/// network's, so that a writer may outlive the server.
template <class Item>
class EventQueue : public std::enable_shared_from_this<EventQueue<Item>> {
 public:
  using Clock = std::chrono::steady_clock;
  explicit EventQueue(asio::any_io_executor executor) : timer_(std::in_place, std::move(executor)) {
    timer_->expires_at(Clock::time_point::max());
  }

  /// From any thread. Posts inside the lock: the executor lives at least until close().
  void push(Item item) {
    std::lock_guard lock(mutex_);
    if (!timer_) return;
    items_.push_back(std::move(item));
    if (items_.size() > 1) return;  // the reader has been woken already
    asio::post(timer_->get_executor(), [self = this->shared_from_this()] {
      if (self->timer_) self->timer_->cancel();
    });
  }

  /// On the network's thread, when nobody will read again: what is pushed from now on is dropped.
  void close() {
    std::lock_guard lock(mutex_);
    timer_.reset();
  }

  /// On the network's thread: waits for an item.
  asio::awaitable<Item> pop() {
    while (true) {
      if (std::optional<Item> item = try_pop()) co_return std::move(*item);
      beast::error_code ignored;
      co_await timer_->async_wait(into(ignored));
    }
  }

  /// The same, but nothing if none comes in time.
  asio::awaitable<std::optional<Item>> pop_within(Clock::duration limit) {
    const auto until = Clock::now() + limit;
    std::optional<Item> item = try_pop();
    if (item) co_return item;
    timer_->expires_at(until);
    while (!item && Clock::now() < until) {
      beast::error_code ignored;
      co_await timer_->async_wait(into(ignored));
      item = try_pop();
    }
    timer_->expires_at(Clock::time_point::max());
    co_return item;
  }

  std::optional<Item> try_pop() {
    std::lock_guard lock(mutex_);
    if (items_.empty()) return {};
    Item item = std::move(items_.front());
    items_.pop_front();
    return item;
  }

 private:
  std::optional<asio::steady_timer> timer_;
  std::mutex mutex_;
  std::deque<Item> items_;
};

}  // namespace moge::serve
