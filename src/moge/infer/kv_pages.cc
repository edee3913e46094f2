#include "moge/infer/kv_pages.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <random>
#include <utility>

#include "moge/core/error.h"

namespace moge::infer {

namespace {

uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
  return hash ^ (hash >> 32);
}

size_t at(int32_t page) { return static_cast<size_t>(page); }

}  // namespace

PagePool::PagePool(int64_t num_pages, int64_t page_tokens, bool keeps_prefixes)
    : num_pages_(num_pages),
      page_tokens_(page_tokens),
      num_free_(num_pages),
      keeps_prefixes_(keeps_prefixes),
      seed_(std::random_device{}()) {
  check(num_pages > 0, "[kv] {} pages asked for, at least 1 is needed", num_pages);
  check(page_tokens > 0, "[kv] pages of {} tokens asked for, at least 1 is needed", page_tokens);
  blocks_.resize(static_cast<size_t>(num_pages));
  for (int64_t page = 0; page < num_pages; ++page) empty_.push_back(static_cast<int32_t>(page));
  if (!keeps_prefixes) return;
  tokens_.resize(static_cast<size_t>(num_pages * page_tokens));
  buckets_.assign(std::bit_ceil(static_cast<size_t>(num_pages)), -1);
}

int32_t PagePool::take() {
  check(num_free_ > 0, "[kv] all {} pages are in use", num_pages_);
  int32_t page = oldest_;
  if (!empty_.empty()) {
    std::pop_heap(empty_.begin(), empty_.end(), std::greater<>());
    page = empty_.back();
    empty_.pop_back();
  } else {
    unlink(page);
    forget(page);
  }
  blocks_[at(page)].references = 1;
  --num_free_;
  return page;
}

void PagePool::hold(int32_t page) {
  Block& block = blocks_[at(page)];
  if (block.references++ > 0) return;
  MOGE_ASSERT(block.name != 0);
  unlink(page);
  --num_free_;
}

void PagePool::release(int32_t page) {
  Block& block = blocks_[at(page)];
  MOGE_ASSERT(block.references > 0);
  if (--block.references > 0) return;
  ++num_free_;
  if (block.name != 0) {
    append_newest(page);
    return;
  }
  empty_.push_back(page);
  std::push_heap(empty_.begin(), empty_.end(), std::greater<>());
}

int32_t PagePool::find(BlockName parent, std::span<const int32_t> tokens,
                       std::string_view salt) const {
  if (!keeps_prefixes_) return -1;
  const uint64_t hash = hash_of(parent, tokens, salt);
  for (int32_t page = buckets_[hash % buckets_.size()]; page >= 0;
       page = blocks_[at(page)].next_of_hash) {
    const Block& block = blocks_[at(page)];
    // A hash may be anybody's: only the same parent and the same tokens are the same content.
    if (block.hash == hash && block.parent == parent && (parent != 0 || block.salt == salt) &&
        std::ranges::equal(tokens_of(page), tokens))
      return page;
  }
  return -1;
}

BlockName PagePool::publish(int32_t page, BlockName parent, std::span<const int32_t> tokens,
                            std::string_view salt) {
  MOGE_ASSERT(static_cast<int64_t>(tokens.size()) == page_tokens_);
  if (!keeps_prefixes_) return 0;
  if (const int32_t other = find(parent, tokens, salt); other >= 0) return name_of(other);
  Block& block = blocks_[at(page)];
  MOGE_ASSERT(block.references > 0 && block.name == 0);
  block.name = ++last_name_;
  block.parent = parent;
  block.hash = hash_of(parent, tokens, salt);
  if (parent == 0) block.salt = salt;
  std::ranges::copy(tokens, tokens_of(page).begin());
  int32_t& bucket = buckets_[block.hash % buckets_.size()];
  block.next_of_hash = std::exchange(bucket, page);
  return block.name;
}

void PagePool::forget_all() {
  for (int32_t page = 0; page < num_pages_; ++page) {
    Block& block = blocks_[at(page)];
    if (block.name == 0) continue;
    forget(page);
    if (block.references > 0) continue;
    unlink(page);
    empty_.push_back(page);
    std::push_heap(empty_.begin(), empty_.end(), std::greater<>());
  }
}

std::span<int32_t> PagePool::tokens_of(int32_t page) {
  return std::span(tokens_).subspan(at(page) * static_cast<size_t>(page_tokens_),
                                    static_cast<size_t>(page_tokens_));
}

std::span<const int32_t> PagePool::tokens_of(int32_t page) const {
  return std::span(tokens_).subspan(at(page) * static_cast<size_t>(page_tokens_),
                                    static_cast<size_t>(page_tokens_));
}

uint64_t PagePool::hash_of(BlockName parent, std::span<const int32_t> tokens,
                           std::string_view salt) const {
  uint64_t hash = mix(seed_, parent);
  if (parent == 0)
    for (char c : salt) hash = mix(hash, static_cast<unsigned char>(c));
  for (int32_t token : tokens) hash = mix(hash, static_cast<uint32_t>(token));
  return hash;
}

/// Takes the page's content out of the table.
void PagePool::forget(int32_t page) {
  Block& block = blocks_[at(page)];
  int32_t* link = &buckets_[block.hash % buckets_.size()];
  while (*link != page) link = &blocks_[at(*link)].next_of_hash;
  *link = block.next_of_hash;
  block.name = 0;
  block.salt.clear();
}

void PagePool::append_newest(int32_t page) {
  Block& block = blocks_[at(page)];
  block.older = newest_;
  block.newer = -1;
  (newest_ >= 0 ? blocks_[at(newest_)].newer : oldest_) = page;
  newest_ = page;
}

void PagePool::unlink(int32_t page) {
  const Block& block = blocks_[at(page)];
  (block.older >= 0 ? blocks_[at(block.older)].newer : oldest_) = block.newer;
  (block.newer >= 0 ? blocks_[at(block.newer)].older : newest_) = block.older;
}

PageTable::PageTable(PageTable&& other) noexcept
    : pool_(other.pool_),
      pages_(std::exchange(other.pages_, {})),
      names_(std::exchange(other.names_, {})) {}

PageTable& PageTable::operator=(PageTable&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(pages_, other.pages_);
  std::swap(names_, other.names_);
  return *this;
}

void PageTable::reserve(int64_t num_tokens) {
  const int64_t P = pool_->page_tokens();
  const auto pages = static_cast<size_t>((num_tokens + P - 1) / P);
  pages_.reserve(pages);
  names_.reserve(pages);
}

int64_t PageTable::capacity() const {
  return static_cast<int64_t>(pages_.size()) * pool_->page_tokens();
}

int64_t PageTable::pages_to_hold(int64_t num_tokens) const {
  const int64_t P = pool_->page_tokens(), want = (num_tokens + P - 1) / P;
  return std::max<int64_t>(0, want - static_cast<int64_t>(pages_.size()));
}

void PageTable::grow(int64_t num_tokens) {
  for (int64_t missing = pages_to_hold(num_tokens); missing > 0; --missing)
    pages_.push_back(pool_->take());
}

void PageTable::clear() {
  // The last page first: a sequence's end is of use to fewer others than its beginning.
  for (; !pages_.empty(); pages_.pop_back()) pool_->release(pages_.back());
  names_.clear();
}

int64_t PageTable::reuse(std::span<const int32_t> history, int64_t computed, int64_t limit,
                         std::string_view salt) {
  const int64_t P = pool_->page_tokens();
  if (computed != capacity() || names_.size() != pages_.size()) return computed;
  for (; computed + P <= limit; computed += P) {
    const auto tokens = history.subspan(static_cast<size_t>(computed), static_cast<size_t>(P));
    const int32_t page = pool_->find(last_name(), tokens, salt);
    if (page < 0) break;
    pool_->hold(page);
    pages_.push_back(page);
    names_.push_back(pool_->name_of(page));
  }
  return computed;
}

void PageTable::publish(std::span<const int32_t> history, int64_t computed, std::string_view salt) {
  const auto P = static_cast<size_t>(pool_->page_tokens());
  while ((names_.size() + 1) * P <= static_cast<size_t>(computed)) {
    const size_t i = names_.size();
    const BlockName name = pool_->publish(pages_[i], last_name(), history.subspan(i * P, P), salt);
    if (name == 0) return;  // prefixes are not kept
    names_.push_back(name);
  }
}

}  // namespace moge::infer
