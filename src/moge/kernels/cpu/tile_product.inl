// Small products inside a kernel: out[m][:] (+)= sum over r of a[m][r] * b[r][:], rows of b and out
// being whole vectors. Every element is one chain of multiply-adds in the order of r, so that its
// bits depend neither on the block sizes below nor on its neighbours.
#pragma once

#include "moge/kernels/cpu/simd.inl"

namespace {

enum class Start { kZero, kOut, kOutTimesFactor };

/// a is broadcast: element (m, r) at a[m * a_row + r * a_step]. Strides in elements.
struct TileProduct {
  const float* a;
  int64_t a_row, a_step;
  const float* b;
  int64_t b_stride;
  int depth;  ///< r runs over [0, depth)
  float* out;
  int64_t out_stride;
  Start start = Start::kZero;
  const float* factor = nullptr;  ///< one per column of out, for kOutTimesFactor
};

// Accumulators M x N fill the registers: 6 x 4 or 12 x 2 of 32 (AVX-512), 6 x 2 of 16 (AVX2).
constexpr int kMaxVectors = kLanes == 8 ? 2 : 4;
constexpr int max_rows(int vectors) {
  if (kLanes == 1) return 2;
  return vectors == kMaxVectors ? 6 : 12;
}

template <int M, int N>
void multiply_block(const TileProduct& p, int row, int vector) {
  const float* a = p.a + row * p.a_row;
  const float* b = p.b + vector * kLanes;
  float* out = p.out + row * p.out_stride + vector * kLanes;
  Vec sum[M][N] = {};
  if (p.start != Start::kZero) {
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        sum[m][n] = load(out + m * p.out_stride + n * kLanes);
        if (p.start == Start::kOutTimesFactor) sum[m][n] *= load(p.factor + (vector + n) * kLanes);
      }
  }
  for (int r = 0; r < p.depth; ++r, a += p.a_step, b += p.b_stride) {
    Vec b_r[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) b_r[n] = load(b + n * kLanes);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const Vec a_m = splat(a[m * p.a_row]);
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) sum[m][n] = fma(a_m, b_r[n], sum[m][n]);
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) store(out + m * p.out_stride + n * kLanes, sum[m][n]);
}

/// Rows [row, rows) in blocks of M, then of smaller ones.
template <int M, int N>
void multiply_rows(const TileProduct& p, int row, int rows, int vector) {
  for (; row + M <= rows; row += M) multiply_block<M, N>(p, row, vector);
  if constexpr (M > 1) {
    if (row < rows) multiply_rows<(M > 4 ? 4 : M / 2), N>(p, row, rows, vector);
  }
}

template <int N>
void multiply_columns(const TileProduct& p, int rows, int vector) {
  multiply_rows<max_rows(N), N>(p, 0, rows, vector);
}

/// Columns are `vectors` whole vectors.
inline void multiply(const TileProduct& p, int rows, int vectors) {
  int vector = 0;
  for (; vector + kMaxVectors <= vectors; vector += kMaxVectors)
    multiply_columns<kMaxVectors>(p, rows, vector);
  if (kMaxVectors > 2 && vector + 2 <= vectors) {
    multiply_columns<2>(p, rows, vector);
    vector += 2;
  }
  if (vector < vectors) multiply_columns<1>(p, rows, vector);
}

}  // namespace
