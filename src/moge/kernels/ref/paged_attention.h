// The specification of the paged KV cache and of attention over it: where an element lies, what it
// is worth, and the softmax over the keys that a query sees. In double, one query at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "moge/core/scalar.h"
#include "moge/kernels/paged_attention.h"

namespace moge::ref {

/// The number stored as element `index` of a half (keys or values) whose elements have a format.
inline double kv_element(const kernels::KvLayout& layout, const char* half, int64_t index) {
  if (layout.format == kernels::KvFormat::kF32) {
    float x;
    std::memcpy(&x, half + 4 * index, 4);
    return static_cast<double>(x);
  }
  if (layout.format == kernels::KvFormat::kBF16) {
    BFloat16 x;
    std::memcpy(&x, half + 2 * index, 2);
    return static_cast<double>(static_cast<float>(x));
  }
  return static_cast<double>(static_cast<uint8_t>(half[index])) - 128.0;
}

inline double kv_scale(const kernels::KvLayout& layout, const char* block, int slot, bool value) {
  if (layout.format != kernels::KvFormat::kInt8) return 1.0;
  float x;
  std::memcpy(&x, block + 2 * layout.half_bytes() + value * layout.scale_bytes() + 4 * slot, 4);
  return static_cast<double>(x);
}

/// Channel c of the key in `slot`: word [c / k][slot], k channels a word; int8 is stored plus 128.
inline double kv_key(const kernels::KvLayout& layout, const char* block, int slot, int c) {
  const int k = 4 / layout.element_bytes();
  const int64_t index = (int64_t{c / k} * layout.page_tokens + slot) * k + c % k;
  return kv_element(layout, block, index) * kv_scale(layout, block, slot, false);
}

/// Channel c of the value in `slot`: word [slot / k][c], k positions a word.
inline double kv_value(const kernels::KvLayout& layout, const char* block, int slot, int c) {
  const int k = 4 / layout.element_bytes();
  const int64_t index = (int64_t{slot / k} * layout.padded_dim() + c) * k + slot % k;
  return kv_element(layout, block + layout.half_bytes(), index) *
         kv_scale(layout, block, slot, true);
}

/// What a test compares with: the output, and what its rounding errors are measured by.
struct PagedRow {
  std::vector<double> out_C, norm_C;  ///< norm = sum of probability * |value|
  double value_norm = 0;              ///< int8: sum of probability * 127 * the value's scale
  double score_norm = 0;              ///< largest scale * sum of |q| |k|
  double key_norm = 0;                ///< largest scale * sum of |k|
};

/// Head `head` of the group in row `row`; q_C is what that query holds.
inline PagedRow paged_attention(const kernels::PagedAttention& a, int64_t row, const float* q_C) {
  const kernels::KvLayout& layout = a.layout;
  const int C = layout.head_dim, P = layout.page_tokens;
  const int64_t position = a.first_position + row;
  const int64_t first = a.window > 0 ? std::max<int64_t>(0, position - a.window + 1) : 0;
  const auto block = [&](int64_t key) { return a.blocks + a.page_table[key / P] * a.page_bytes; };
  const auto slot = [&](int64_t key) { return static_cast<int>(key % P); };
  const std::vector<double> zeros(static_cast<size_t>(C));
  PagedRow result{.out_C = zeros, .norm_C = zeros};
  std::vector<double> p;
  double largest = -INFINITY, sum = 0;
  for (int64_t key = first; key <= position; ++key) {
    double score = 0, score_norm = 0, key_norm = 0;
    for (int c = 0; c < C; ++c) {
      const double k = kv_key(layout, block(key), slot(key), c), q = static_cast<double>(q_C[c]);
      score += q * k;
      score_norm += std::fabs(q * k);
      key_norm += std::fabs(k);
    }
    const auto scale = static_cast<double>(a.scale);
    p.push_back(score * scale);
    largest = std::max(largest, p.back());
    result.score_norm = std::max(result.score_norm, score_norm * scale);
    result.key_norm = std::max(result.key_norm, key_norm * scale);
  }
  for (double& x : p) sum += x = std::exp(x - largest);
  for (int64_t key = first; key <= position; ++key) {
    const double weight = p[static_cast<size_t>(key - first)] / sum;
    result.value_norm += weight * 127 * kv_scale(layout, block(key), slot(key), true);
    for (int c = 0; c < C; ++c) {
      const double v = kv_value(layout, block(key), slot(key), c) * weight;
      result.out_C[static_cast<size_t>(c)] += v;
      result.norm_C[static_cast<size_t>(c)] += std::fabs(v);
    }
  }
  return result;
}

}  // namespace moge::ref
