// The cache takes exactly what plan/ says, whatever the format and the width of heads.
#include "moge/infer/kv_cache.h"

#include <gtest/gtest.h>

#include "moge/plan/parameters.h"

namespace moge::infer {
namespace {

TEST(KvCache, TakesTheBytesOfTheFormula) {
  for (const char* name : {"tiny", "small", "olmoe-1b-7b"})
    for (int64_t head_dim : {8, 20, 64, 128})
      for (DType dtype : {DType::kF32, DType::kBF16, DType::kI8})
        for (int64_t page_tokens : {16, 32, 48}) {
          ModelConfig config = preset_config(name);
          config.head_dim = head_dim;
          const KvCache cache(config, dtype, page_tokens, 3);
          ASSERT_EQ(static_cast<int64_t>(cache.layers().size()), config.num_layers());
          int64_t bytes = 0;
          for (const PagedKv& layer : cache.layers()) bytes += layer.page_bytes();
          EXPECT_EQ(bytes, page_tokens * plan::kv_bytes_per_token(config, size_of(dtype)));
          EXPECT_EQ(bytes, KvCache::page_bytes(config, dtype, page_tokens));
          const auto* first = static_cast<const char*>(cache.layers().front().data);
          const auto* last = static_cast<const char*>(cache.layers().back().data);
          EXPECT_EQ(last - first, 3 * (bytes - cache.layers().back().page_bytes()));
        }
}

TEST(KvCache, RefusesOddPages) {
  EXPECT_THROW(KvCache(preset_config("tiny"), DType::kF32, 24, 1), Error);
}

}  // namespace
}  // namespace moge::infer
