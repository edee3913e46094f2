// Pages of the KV cache: who holds which, and what the full ones hold, so that requests with the
// same beginning share them. The pages' memory itself lies in the runner.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moge::infer {

/// Names what a page holds: its tokens after everything before them. Never used twice, so that a
/// name held longer than its page only misses. 0: the empty beginning.
using BlockName = uint64_t;

/// Counts references to pages. A page that nobody holds is free; if its content has a name it can
/// still be found until it is handed out again. All memory is taken at construction.
class PagePool {
 public:
  PagePool(int64_t num_pages, int64_t page_tokens, bool keeps_prefixes = true);

  int64_t num_pages() const { return num_pages_; }
  int64_t page_tokens() const { return page_tokens_; }
  int64_t num_free() const { return num_free_; }
  int64_t num_used() const { return num_pages_ - num_free_; }

  /// A page with one reference: the lowest number of those without content, so that a run is
  /// reproducible, else the one whose content was used longest ago. Throws Error when none is free.
  int32_t take();
  void hold(int32_t page);  ///< one more reference; it may be free
  void release(int32_t page);

  /// The page that holds `tokens` (page_tokens of them) after the block `parent`, or -1. `salt`
  /// counts for first blocks; others inherit it from their parents.
  int32_t find(BlockName parent, std::span<const int32_t> tokens, std::string_view salt) const;
  /// Names the content of a page that somebody holds and returns the name; if another page holds
  /// the same already, that one keeps the name.
  BlockName publish(int32_t page, BlockName parent, std::span<const int32_t> tokens,
                    std::string_view salt);
  BlockName name_of(int32_t page) const { return blocks_[static_cast<size_t>(page)].name; }
  /// No content can be found any more (a step failed: what it was to write is not there).
  void forget_all();

 private:
  struct Block {
    BlockName name = 0, parent = 0;  // name 0: no content
    uint64_t hash = 0;
    std::string salt;                // of first blocks
    int32_t next_of_hash = -1;       // chain of one bucket
    int32_t older = -1, newer = -1;  // among free pages with content
    int32_t references = 0;
  };
  std::span<int32_t> tokens_of(int32_t page);
  std::span<const int32_t> tokens_of(int32_t page) const;
  uint64_t hash_of(BlockName parent, std::span<const int32_t> tokens, std::string_view salt) const;
  void forget(int32_t page);
  void append_newest(int32_t page);
  void unlink(int32_t page);

  int64_t num_pages_, page_tokens_, num_free_;
  bool keeps_prefixes_;
  uint64_t seed_;  // of the hashes: clients cannot aim at one bucket
  BlockName last_name_ = 0;
  std::vector<Block> blocks_;
  std::vector<int32_t> tokens_;  // [pages][page_tokens] of named pages
  std::vector<int32_t> buckets_;
  std::vector<int32_t> empty_;  // free pages without content: a heap, smallest on top
  int32_t oldest_ = -1, newest_ = -1;
};

/// The pages of one sequence, in position order.
class PageTable {
 public:
  explicit PageTable(PagePool& pool) : pool_(&pool) {}
  ~PageTable() { clear(); }
  PageTable(PageTable&& other) noexcept;
  PageTable& operator=(PageTable&& other) noexcept;

  void reserve(int64_t num_tokens);                 ///< memory for so many positions' pages
  int64_t capacity() const;                         ///< positions that the pages hold
  int64_t pages_to_hold(int64_t num_tokens) const;  ///< further pages needed for so many positions
  void grow(int64_t num_tokens);                    ///< takes them
  void clear();                                     ///< gives all pages back, the last one first

  /// Adds the pages that are known to hold history[computed, limit), as long as they are found.
  /// Returns the new number of computed positions. Nothing unless `computed` ends the last page.
  int64_t reuse(std::span<const int32_t> history, int64_t computed, int64_t limit,
                std::string_view salt);
  /// Names the pages that history[0, computed) fills.
  void publish(std::span<const int32_t> history, int64_t computed, std::string_view salt);

  std::span<const int32_t> pages() const { return pages_; }

 private:
  BlockName last_name() const { return names_.empty() ? 0 : names_.back(); }

  PagePool* pool_;
  std::vector<int32_t> pages_;
  std::vector<BlockName> names_;  // of the first pages
};

}  // namespace moge::infer
