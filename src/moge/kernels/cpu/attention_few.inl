// Decoding: a block of a few lanes would leave most of a vector empty. Here keys (scores) and the
// head dimension (values) fill the vectors instead. Every element is the same chain of
// multiply-adds as with columns of lanes, so that a token's bits do not depend on how it came.
#pragma once

#include "moge/kernels/cpu/attention_lanes.inl"
#include "moge/kernels/cpu/tile_product.inl"

namespace {

inline bool few_lanes(const Lanes& lanes, int C) {
  return lanes.num <= kLanes / 2 && C % kLanes == 0;
}

/// rows_LC *= factor
inline void scale_rows(int num_rows, int C, float factor, float* rows_LC) {
  const int Cp = static_cast<int>(attention_padded_dim(C));
  for (int l = 0; l < num_rows; ++l)
    for (int c = 0; c < C; c += kLanes)
      store(rows_LC + l * Cp + c, load(rows_LC + l * Cp + c) * factor);
}

/// columns_CK[c][i] = row i of the run; rows beyond its size become zeros.
inline void keys_to_columns(const Run& run, int C, float* columns_CK) {
  for (int k = 0; k < run.size; k += kLanes)
    for (int c = 0; c < C; c += kLanes) {
      Vec block[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i)
        block[i] = k + i < run.size ? load(run.rows + (k + i) * run.stride + c) : Vec{};
      transpose(block);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) store(columns_CK + (c + i) * kL + k, block[i]);
    }
}

// A run's last vector may reach beyond the tile's last key.
constexpr int kFewStride = kAttentionKeys + kLanes;

/// scores_LK[l][key] = q_LC[l] . key, for the run's keys.
inline void few_scores(const Lanes& lanes, const Run& k, int C, const float* q_LC,
                       float* columns_CK, float* scores_LK) {
  keys_to_columns(k, C, columns_CK);
  multiply({.a = q_LC,
            .a_row = attention_padded_dim(C),
            .a_step = 1,
            .b = columns_CK,
            .b_stride = kL,
            .depth = C,
            .out = scores_LK + k.first,
            .out_stride = kFewStride},
           lanes.num, (k.size + kLanes - 1) / kLanes);
}

/// s_KL[key][l] = scores_LK[l][key], zeros for absent lanes.
inline void few_to_columns(const Lanes& lanes, int num_keys, const float* scores_LK, float* s_KL) {
  for (int k = 0; k < num_keys; k += kLanes) {
    Vec block[kLanes];
#pragma GCC unroll 16
    for (int l = 0; l < kLanes; ++l)
      block[l] = l < lanes.num ? load(scores_LK + l * kFewStride + k) : Vec{};
    transpose(block);
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) store(s_KL + (k + i) * kL, block[i]);
  }
}

/// o_LC[l] += sum over the run's keys of s_KL[key][l] * value
inline void few_values(const Lanes& lanes, const Run& v, int C, const float* s_KL, float* o_LC) {
  multiply({.a = s_KL + v.first * kL,
            .a_row = 1,
            .a_step = kL,
            .b = v.rows,
            .b_stride = v.stride,
            .depth = v.size,
            .out = o_LC,
            .out_stride = attention_padded_dim(C),
            .start = Start::kOut},
           lanes.num, C / kLanes);
}

/// Lane l's row of x = factor_L[l] * o_LC[l] + 0, as write_columns does.
template <class T>
void write_rows(const Lanes& lanes, const float* o_LC, const float* factor_L, int C, int64_t stride,
                T* x) {
  const int Cp = static_cast<int>(attention_padded_dim(C));
  for (int l = 0; l < lanes.num; ++l)
    for (int c = 0; c < C; c += kLanes)
      store(x + lanes.offset(l, stride, C) + c, load(o_LC + l * Cp + c) * factor_L[l] + 0.0f);
}

}  // namespace
