// Attention as frameworks compute it step by step: what `moge bench attention` compares with.
// Hugging Face's eager form repeats K and V for the query heads in memory, then writes scores,
// softmax and values one after the other; the unfused form does the same without the repeat.
#pragma once

#include <cstdint>

#include "moge/ops/context.h"

namespace moge {

struct AttentionShape {
  int64_t batch = 1, context = 0, heads = 0, kv_heads = 0, head_dim = 0;
  int64_t kv_elements() const { return batch * kv_heads * context * head_dim; }
};

/// Memory of the unfused forms, taken once; `dtype` of everything in it is kF32 or kBF16.
class EagerAttention {
 public:
  EagerAttention(const AttentionShape& shape, DType dtype, int64_t rows);

  /// One new token of each sequence; k and v [batch][kv heads][context][head dim].
  void decode(const Context& context, const void* k, const void* v, bool repeat);
  /// The whole context of one sequence, causal; k and v as above.
  void prefill(const Context& context, const void* k, const void* v, bool repeat);

 private:
  Tensor matrix(const void* base, int64_t index, int64_t rows, int64_t columns) const;
  void repeat_heads(const Context& context, const void* from, Buffer& to) const;

  AttentionShape shape_;
  DType dtype_;
  int64_t rows_;  ///< queries of a sequence
  Buffer q_, p_, out_, k_, v_;
};

}  // namespace moge
