// Attention kernels. A lane is one query row of one of the G query heads that share a kv head:
// lane l = head l % G of row l / G, so that the keys and values of a kv head are read once for its
// whole group. One call takes a block of at most kAttentionLanes lanes.
#pragma once

#include <cstdint>

namespace moge::kernels {

constexpr int kAttentionLanes = 64;  ///< queries of a block
constexpr int kAttentionKeys = 64;   ///< keys of a tile; tiles begin at multiples of it

/// The keys and values of one kv head. Position p is row p % block_rows of block
/// block_table[p / block_rows]; without a table there is one block. Strides in elements.
struct AttentionKeys {
  const void* k = nullptr;
  const void* v = nullptr;
  bool bf16 = false;
  const int32_t* block_table = nullptr;
  int64_t block_rows = 0, block_stride = 0;
  int64_t k_stride = 0, v_stride = 0;  ///< between rows
};

/// The queries of one sequence (or its new part) and one kv head; row 0 stands at first_position.
struct AttentionForward {
  AttentionKeys keys;
  const void* q = nullptr;  ///< first head of the group, row 0
  void* out = nullptr;
  float* lse = nullptr;  ///< may be absent
  int64_t q_stride = 0, out_stride = 0, lse_stride = 0;
  bool bf16 = false;  ///< q and out
  int group = 1, head_dim = 0;
  int64_t first_position = 0;
  int64_t window = 0;  ///< 0 = no window
  float scale = 1.0f;
};

/// All queries of one sequence and one kv head. dk_acc and dv_acc are [T, Cp] fp32 of the caller,
/// Cp = head_dim rounded up to 16.
struct AttentionBackward {
  AttentionForward forward;  ///< out and lse are read
  int64_t num_rows = 0;
  const void* dout = nullptr;
  void* dq = nullptr;
  void* dk = nullptr;
  void* dv = nullptr;
  int64_t dout_stride = 0, dq_stride = 0, dk_stride = 0, dv_stride = 0;
  float* dk_acc = nullptr;
  float* dv_acc = nullptr;
};

struct AttentionKernels {
  /// Lanes [first_lane, first_lane + num_lanes), num_lanes <= kAttentionLanes.
  void (*forward)(const AttentionForward& args, int64_t first_lane, int num_lanes,
                  float* scratch) noexcept;
  void (*backward)(const AttentionBackward& args, float* scratch) noexcept;
};

constexpr int64_t attention_padded_dim(int64_t head_dim) { return (head_dim + 15) / 16 * 16; }
/// Floats of scratch that one call of forward or backward needs (64-byte aligned).
constexpr int64_t attention_scratch_floats(int64_t head_dim) {
  return 7 * kAttentionLanes * attention_padded_dim(head_dim) +
         2 * kAttentionKeys * kAttentionLanes + 3 * kAttentionLanes;
}

}  // namespace moge::kernels
