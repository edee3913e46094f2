// The paged KV cache in memory, and attention over it. A lane is one query row of one of the G
// query heads that share a kv head: lane l = head l % G of row l / G, so that the keys and values
// of a kv head are read once for its whole group.
// P positions of a page, C head dim, Cp the same rounded up to 16.
#pragma once

#include <cstdint>

namespace moge::kernels {

enum class KvFormat : uint8_t { kF32, kBF16, kInt8 };

/// The block of one page and one kv head: keys, values, then (int8) the scales of the keys and of
/// the values, fp32, one a position. 64-byte aligned; P is a multiple of 16.
///   keys    [Cp / k][P] words of 32 bits. A word holds k = 1 fp32, 2 bf16 or 4 int8 (plus 128)
///           adjacent channels of one position: a vector holds the same channels of adjacent
///           positions, so that scores are sums down the vectors, without a shuffle.
///   values  [P / k][Cp] words of 32 bits, of k adjacent positions and one channel: a shift and a
///           mask widen bf16, and vdpbf16ps and vpdpbusd take words as they are.
struct KvLayout {
  KvFormat format = KvFormat::kF32;
  int page_tokens = 32, head_dim = 0;

  constexpr int padded_dim() const { return (head_dim + 15) / 16 * 16; }
  constexpr int element_bytes() const {
    return format == KvFormat::kF32 ? 4 : format == KvFormat::kBF16 ? 2 : 1;
  }
  constexpr int64_t half_bytes() const {
    return int64_t{page_tokens} * padded_dim() * element_bytes();
  }
  constexpr int64_t scale_bytes() const {
    return format == KvFormat::kInt8 ? int64_t{4} * page_tokens : 0;
  }
  constexpr int64_t block_bytes() const { return 2 * (half_bytes() + scale_bytes()); }
};

/// One position's key and value of one kv head.
struct KvRow {
  const void* k = nullptr;
  const void* v = nullptr;
  bool bf16 = false;  ///< k and v
  char* block = nullptr;
  int slot = 0;  ///< of the page
};

constexpr int kPagedLanes = 64;       ///< queries of a block
constexpr int kPagedTile = 64;        ///< keys of a tile; tiles begin at multiples of it
constexpr int64_t kKvSplit = 512;     ///< keys that are summed apart, then joined in order
constexpr int kPageGroup = 16;        ///< a page holds a multiple of so many positions
constexpr int kMaxInt8HeadDim = 512;  ///< sums of int8 products stay below 2^31

/// The queries of one sequence's new rows and one kv head; row 0 stands at first_position.
struct PagedAttention {
  KvLayout layout;
  const char* blocks = nullptr;  ///< of this kv head, in page 0
  int64_t page_bytes = 0;        ///< from page to page
  const int32_t* page_table = nullptr;
  const void* q = nullptr;  ///< first head of the group, row 0
  void* out = nullptr;
  int64_t q_stride = 0, out_stride = 0;  ///< between rows, in elements
  bool bf16 = false;                     ///< q and out
  bool dot_bf16 = false;                 ///< as in the table
  int group = 1;
  int64_t first_position = 0;
  int64_t window = 0;  ///< 0 = no window
  float scale = 1.0f;
  const PagedAttention* next = nullptr;  ///< whose first keys are fetched at the end; may be null
};

struct PagedAttentionKernels {
  /// bf16 queries meet a bf16 cache through the ISA's dot product of pairs, probabilities rounded
  /// to bf16; else everything is widened to fp32.
  bool dot_bf16;
  void (*write)(const KvLayout& layout, const KvRow& row) noexcept;
  /// Lanes [first, first + num), num <= kPagedLanes, over all keys that they see.
  void (*forward)(const PagedAttention& args, int64_t first, int num, float* scratch) noexcept;
  /// The same over keys [split, split + 1) * kKvSplit alone; the result into `state`.
  void (*split)(const PagedAttention& args, int64_t first, int num, int64_t split, float* state,
                float* scratch) noexcept;
  /// total = total joined with `state`; a zeroed total with -infinity maxima is neutral.
  void (*clear)(int num, int head_dim, float* total) noexcept;
  void (*join)(int num, int head_dim, const float* state, float* total) noexcept;
  void (*finish)(const PagedAttention& args, int64_t first, int num, const float* total) noexcept;
};

/// Floats of a state of `num` lanes: sums of values [num][Cp], then maxima and sums of weights.
constexpr int64_t paged_state_floats(int num, int head_dim) {
  return int64_t{num} * ((head_dim + 15) / 16 * 16) + 2 * ((num + 15) / 16 * 16);
}
/// Floats of scratch that one call needs (64-byte aligned).
constexpr int64_t paged_scratch_floats(int head_dim) {
  const int64_t padded = (head_dim + 15) / 16 * 16;
  const int64_t per_lane = 3 * padded + kPagedTile + kPagedTile / 2 + 16 + 8;
  return kPagedLanes * per_lane + 2 * kPagedTile * padded;
}

}  // namespace moge::kernels
