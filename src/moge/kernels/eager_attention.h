// Attention in steps that each write their result to memory: what benches compare the fused form
// with. Rows are dense, fp32 or bf16; sums are fp32; C and K
// are multiples of 16.
#pragma once

#include <cstdint>

namespace moge::kernels {

/// Scores of G queries against K keys, then what follows from them.
struct EagerRows {
  int64_t G, K, C;
  const void* q_GC;
  const void* k_KC;
  const void* v_KC;
  void* p_GK;  ///< scores, then probabilities
  void* out_GC;
  float scale;
};

/// Each by element type: fp32, bf16.
struct EagerAttentionKernels {
  void (*scores[2])(const EagerRows&) noexcept;   ///< p = scale * q k^T
  void (*softmax[2])(const EagerRows&) noexcept;  ///< of each row of p, in fp32
  void (*values[2])(const EagerRows&) noexcept;   ///< out = p v
};

}  // namespace moge::kernels
