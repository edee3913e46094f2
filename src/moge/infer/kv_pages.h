// Pages of the KV cache: who owns which. The pages' memory itself lies in kv_cache.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moge::infer {

/// Hands out page numbers; lowest free number first, so that a run is reproducible.
class PagePool {
 public:
  explicit PagePool(int64_t num_pages);
  int64_t num_pages() const { return num_pages_; }
  int64_t num_free() const { return static_cast<int64_t>(free_.size()); }
  int32_t take();  ///< throws Error when none is free
  void give_back(int32_t page);

 private:
  int64_t num_pages_;
  std::vector<int32_t> free_;  // a heap, smallest on top
};

/// The pages of one sequence, in position order.
class PageTable {
 public:
  PageTable(PagePool& pool, int64_t page_tokens) : pool_(&pool), page_tokens_(page_tokens) {}
  ~PageTable() { clear(); }
  PageTable(PageTable&& other) noexcept;
  PageTable& operator=(PageTable&& other) noexcept;

  int64_t pages_to_hold(int64_t num_tokens) const;  ///< further pages needed for so many positions
  void grow(int64_t num_tokens);                    ///< takes them
  void clear();                                     ///< gives all pages back
  std::span<const int32_t> pages() const { return pages_; }

 private:
  PagePool* pool_;
  int64_t page_tokens_;
  std::vector<int32_t> pages_;
};

}  // namespace moge::infer
