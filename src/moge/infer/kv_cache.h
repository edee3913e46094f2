// The memory of the paged KV cache, one part per layer. Which page belongs to whom: kv_pages.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "moge/config/model_config.h"
#include "moge/ops/attention_paged.h"
#include "moge/runtime/arena.h"

namespace moge::infer {

class KvCache {
 public:
  /// `dtype`: kF32, kBF16 or kI8; `page_tokens`: a multiple of 16.
  KvCache(const ModelConfig& config, DType dtype, int64_t page_tokens, int64_t num_pages);
  std::span<const PagedKv> layers() const { return layers_; }
  /// Takes all its memory from the system now. Otherwise the first sequences to reach new pages
  /// wait for it: 50 ms and more in one step, as all layers come to a new huge page together.
  void commit() const;

  /// Bytes of one page over all layers: plan::kv_bytes_per_token for each of its positions.
  static int64_t page_bytes(const ModelConfig& config, DType dtype, int64_t page_tokens);

 private:
  Buffer memory_;
  std::vector<PagedKv> layers_;
};

}  // namespace moge::infer
