// The specification of RoPE (rotate-half), template on the scalar.
#pragma once

#include <cstdint>

namespace moge::ref {

/// In place: (x1, x2) -> (x1 c - x2 s, x2 c + x1 s), x1 the lower and x2 the upper half of a head;
/// direction -1 is the inverse rotation.
template <class T>
void rope(T* x_THC, const int32_t* positions_T, const T* cos_PC2, const T* sin_PC2,
          int64_t num_tokens, int64_t H, int64_t C2, double direction) {
  for (int64_t t = 0; t < num_tokens; ++t)
    for (int64_t h = 0; h < H; ++h)
      for (int64_t i = 0; i < C2; ++i) {
        T& low = x_THC[(t * H + h) * 2 * C2 + i];
        T& high = x_THC[(t * H + h) * 2 * C2 + C2 + i];
        const T c = cos_PC2[positions_T[t] * C2 + i],
                s = direction * sin_PC2[positions_T[t] * C2 + i];
        const T x1 = low, x2 = high;
        low = x1 * c - x2 * s;
        high = x2 * c + x1 * s;
      }
}

}  // namespace moge::ref
