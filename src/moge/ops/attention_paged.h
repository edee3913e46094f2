// Attention over the paged KV cache, and writing into it.
// T new tokens of all sequences flat, H query heads, N key-value heads, C head dim.
#pragma once

#include <cstdint>
#include <span>

#include "moge/ops/attention.h"
#include "moge/ops/context.h"
#include "moge/ops/elementwise.h"

namespace moge {

/// One layer's paged KV cache: [pages][N] blocks of kernels::KvLayout, one contiguous block for
/// the keys and values of a (page, kv head).
struct PagedKv {
  void* data = nullptr;       ///< 64-byte aligned
  DType dtype = DType::kF32;  ///< kF32, kBF16 or kI8 (with a scale per position and kv head)
  int64_t page_tokens = 32;   ///< a multiple of 16
  int64_t kv_heads = 0, head_dim = 0;

  int64_t page_bytes() const;  ///< of all kv heads
};

/// One sequence's share of a step: `num_tokens` new rows whose first stands at absolute position
/// `first_position`; page_table[i] is the page of positions [i * page_tokens, (i+1) * page_tokens).
struct SequenceSlice {
  int64_t first_row = 0, num_tokens = 0, first_position = 0;
  std::span<const int32_t> page_table;
};

/// Rotates the new rows' queries and keys in place and writes keys and values into their pages, in
/// one pass over the rows.
void rope_and_kv_write(const Context& context, const Tensor& q_THC, const Tensor& k_TNC,
                       const Tensor& v_TNC, const Tensor& positions_T, const RopeTable& table,
                       std::span<const SequenceSlice> sequences, const PagedKv& cache);

/// The write alone.
void kv_write(const Context& context, const Tensor& k_TNC, const Tensor& v_TNC,
              std::span<const SequenceSlice> sequences, const PagedKv& cache);

/// Attention of the new rows over all cached positions up to their own. Tiles and splits of keys
/// lie at absolute positions, so a token's bits do not depend on how its prompt was cut, on the
/// batch or on threads. bf16 or fp32 rows; q_THC and out_THC share a dtype.
void paged_attention(const Context& context, const Tensor& q_THC,
                     std::span<const SequenceSlice> sequences, const PagedKv& cache,
                     AttentionOptions options, const Tensor& out_THC);

/// Scratch of one step of at most `num_tokens` new tokens; the length of contexts does not enter.
size_t paged_attention_scratch_bytes(const Context& context, int64_t num_tokens, int64_t head_dim);

}  // namespace moge
