#include "moge/infer/kv_pages.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "moge/core/error.h"

namespace moge::infer {

PagePool::PagePool(int64_t num_pages) : num_pages_(num_pages) {
  check(num_pages > 0, "[kv] {} pages asked for, at least 1 is needed", num_pages);
  for (int64_t page = 0; page < num_pages; ++page) free_.push_back(static_cast<int32_t>(page));
}

int32_t PagePool::take() {
  check(!free_.empty(), "[kv] all {} pages are in use", num_pages_);
  std::pop_heap(free_.begin(), free_.end(), std::greater<>());
  const int32_t page = free_.back();
  free_.pop_back();
  return page;
}

void PagePool::give_back(int32_t page) {
  MOGE_ASSERT(page >= 0 && page < num_pages_);
  free_.push_back(page);
  std::push_heap(free_.begin(), free_.end(), std::greater<>());
}

PageTable::PageTable(PageTable&& other) noexcept
    : pool_(other.pool_),
      page_tokens_(other.page_tokens_),
      pages_(std::exchange(other.pages_, {})) {}

PageTable& PageTable::operator=(PageTable&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(page_tokens_, other.page_tokens_);
  std::swap(pages_, other.pages_);
  return *this;
}

int64_t PageTable::pages_to_hold(int64_t num_tokens) const {
  const int64_t want = (num_tokens + page_tokens_ - 1) / page_tokens_;
  return std::max<int64_t>(0, want - static_cast<int64_t>(pages_.size()));
}

void PageTable::grow(int64_t num_tokens) {
  for (int64_t missing = pages_to_hold(num_tokens); missing > 0; --missing)
    pages_.push_back(pool_->take());
}

void PageTable::clear() {
  for (int32_t page : pages_) pool_->give_back(page);
  pages_.clear();
}

}  // namespace moge::infer
