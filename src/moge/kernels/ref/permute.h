// The specification of sort, permute and combine, template on the scalar. T tokens, K slots,
// R = T*K routed rows, G groups, D width, E experts.
#pragma once

#include <cstdint>
#include <vector>

namespace moge::ref {

/// Stable counting sort of the T*K choices by expert.
inline void sort_by_expert(const int32_t* ids_TK, int64_t num_tokens, int64_t K, int64_t E,
                           int32_t* offsets_E1, int32_t* row_of_TK, int32_t* token_of_R) {
  int32_t row = 0;
  for (int64_t e = 0; e < E; ++e) {
    offsets_E1[e] = row;
    for (int64_t i = 0; i < num_tokens * K; ++i)
      if (ids_TK[i] == e) {
        token_of_R[row] = static_cast<int32_t>(i / K);
        row_of_TK[i] = row++;
      }
  }
  offsets_E1[E] = row;
}

template <class T>
void permute_forward(const T* x_TD, const int32_t* token_of_R, int64_t R, int64_t D, T* rows_RD) {
  for (int64_t r = 0; r < R; ++r)
    for (int64_t d = 0; d < D; ++d) rows_RD[r * D + d] = x_TD[token_of_R[r] * D + d];
}

/// Neighbours are added, an odd last one moves up, until one is left.
template <class T>
T sum_pairwise(std::vector<T> parts) {
  while (parts.size() > 1) {
    std::vector<T> next;
    for (size_t i = 0; i + 1 < parts.size(); i += 2) next.push_back(parts[i] + parts[i + 1]);
    if (parts.size() % 2) next.push_back(parts.back());
    parts = next;
  }
  return parts[0];
}

/// y += sum of weight * row: inside each group in slot order, then pairwise over the groups.
template <class T>
void combine_forward(const T* rows_RD, const int32_t* row_of_TK, const T* weights_TK,
                     int64_t num_tokens, int64_t D, int64_t K, int64_t G, T* y_TD) {
  for (int64_t t = 0; t < num_tokens; ++t)
    for (int64_t d = 0; d < D; ++d) {
      std::vector<T> parts(static_cast<size_t>(G));
      for (int64_t k = 0; k < K; ++k)
        parts[k / (K / G)] += weights_TK[t * K + k] * rows_RD[row_of_TK[t * K + k] * D + d];
      y_TD[t * D + d] += sum_pairwise(parts);
    }
}

template <class T>
void combine_backward(const T* dy_TD, const T* rows_RD, const int32_t* row_of_TK,
                      const T* weights_TK, int64_t num_tokens, int64_t D, int64_t K, T* drows_RD,
                      T* dweights_TK) {
  for (int64_t t = 0; t < num_tokens; ++t)
    for (int64_t k = 0; k < K; ++k) {
      const int64_t r = row_of_TK[t * K + k];
      T dot = 0;
      for (int64_t d = 0; d < D; ++d) {
        drows_RD[r * D + d] = weights_TK[t * K + k] * dy_TD[t * D + d];
        dot += dy_TD[t * D + d] * rows_RD[r * D + d];
      }
      dweights_TK[t * K + k] = dot;
    }
}

}  // namespace moge::ref
