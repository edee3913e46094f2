// Vectorised functions: exp, exp2, log, sigmoid. Within 2 ulp of the exact value (math is tested
// through the kernels that use it).
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

/// 2^x for x <= 0 (up to 127 is fine); 0 below -126; NaN stays NaN. 2^0 is 1 + 2^-23.
/// x = n + r, |r| <= 1/2; 2^r by a polynomial of degree 5 (relative error 8e-8).
inline Vec exp2_nonpositive(Vec x) {
  const Vec magic = splat(12582912.0f);
  const Vec shifted = x + magic;
  const Vec r = x - (shifted - magic);
  Vec p = fma(splat(1.32764722e-3f), r, splat(9.67554133e-3f));
  p = fma(p, r, splat(5.55071327e-2f));
  p = fma(p, r, splat(2.40221197e-1f));
  p = fma(p, r, splat(6.93146967e-1f));
  p = fma(p, r, splat(1.00000007f));
  const Vec power = (Vec)((VecI)p + ((VecI)shifted << 23));
  return x < -126.0f ? splat(0.0f) : power;
}

/// Natural logarithm of normal x > 0. x = 2^n (1 + f), 1 + f between sqrt(1/2) and sqrt(2);
/// log(1 + f) = f - f^2 / 2 + f^3 q(f), q of degree 6 (relative error 3e-8).
inline Vec log(Vec x) {
  const VecI n = ((VecI)x - 0x3f3504f3) >> 23;
  const Vec f = (Vec)((VecI)x - (n << 23)) - 1.0f;
  Vec q = fma(splat(8.70043642e-2f), f, splat(-1.42674866e-1f));
  q = fma(q, f, splat(1.49147676e-1f));
  q = fma(q, f, splat(-1.65775847e-1f));
  q = fma(q, f, splat(1.99630638e-1f));
  q = fma(q, f, splat(-2.50013370e-1f));
  q = fma(q, f, splat(3.33339107e-1f));
  const Vec square = f * f;
  const Vec tail = fma(q * f, square, square * -0.5f);
  return fma(__builtin_convertvector(n, Vec), splat(0.693147181f), tail + f);
}

inline Vec sigmoid(Vec x) { return 1.0f / (1.0f + exp(-x)); }

}  // namespace
