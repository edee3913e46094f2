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
  explicit EventQueue(asio::any_io_executor executor) : timer_(std::in_place, std::move(executor)) {
    timer_->expires_at(std::chrono::steady_clock::time_point::max());
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
