#include "moge/infer/kv_cache.h"

#include <sys/mman.h>

#include "moge/core/error.h"
#include "moge/plan/parameters.h"

namespace moge::infer {

KvCache::KvCache(const ModelConfig& config, DType dtype, int64_t page_tokens, int64_t num_pages)
    : memory_(static_cast<size_t>(num_pages * page_bytes(config, dtype, page_tokens))) {
  char* at = memory_.data();
  for (int64_t layer = 0; layer < config.num_layers(); ++layer) {
    layers_.push_back({.data = at,
                       .dtype = dtype,
                       .page_tokens = page_tokens,
                       .kv_heads = config.num_kv_heads,
                       .head_dim = config.head_dim});
    at += num_pages * layers_.back().page_bytes();
  }
  MOGE_ASSERT(at == memory_.data() + memory_.size());
}

void KvCache::commit() const {
  // A kernel before 5.14 refuses; the memory then comes page by page as before.
  madvise(memory_.data(), memory_.size(), MADV_POPULATE_WRITE);
}

int64_t KvCache::page_bytes(const ModelConfig& config, DType dtype, int64_t page_tokens) {
  check(page_tokens > 0 && page_tokens % 16 == 0,
        "[kv] a page holds {} positions, want a multiple of 16", page_tokens);
  return page_tokens * plan::kv_bytes_per_token(config, size_of(dtype));
}

}  // namespace moge::infer
