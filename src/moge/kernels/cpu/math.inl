// Vectorised functions: exp, sigmoid. Within 2 ulp of the exact value (math is tested through the
// kernels that use it).
#pragma once

#include "moge/kernels/cpu/simd.inl"

namespace {

/// e^x: 0 below -104, infinity above 89, subnormals in between; NaN stays NaN.
/// x = n ln2 + r, |r| <= ln2 / 2; e^r = 1 + r + r^2 q(r), q of degree 4 (relative error 2e-9).
inline Vec exp(Vec x) {
  x = x < -105.0f ? splat(-105.0f) : x;
  x = x > 90.0f ? splat(90.0f) : x;
  const Vec magic = splat(12582912.0f);  // 1.5 * 2^23: the sum's low bits are the rounded integer
  const Vec shifted = fma(x, splat(1.44269504f), magic);
  const VecI n = (VecI)shifted - (VecI)magic;
  const Vec rounded = shifted - magic;
  Vec r = fma(rounded, splat(-0.693359375f), x);
  r = fma(rounded, splat(2.12194440e-4f), r);
  Vec q = fma(splat(1.39265504e-3f), r, splat(8.36347272e-3f));
  q = fma(q, r, splat(4.16665524e-2f));
  q = fma(q, r, splat(1.66665752e-1f));
  q = fma(q, r, splat(0.5f));
  const Vec power = fma(q, r * r, r) + 1.0f;
  const VecI half = n >> 1;  // 2^n in two factors, for results beyond the exponent's range
  return power * (Vec)((half + 127) << 23) * (Vec)((n - half + 127) << 23);
}

inline Vec sigmoid(Vec x) { return 1.0f / (1.0f + exp(-x)); }

}  // namespace
