// The specification of attention, template on the scalar (float, double, std::complex<double>).
// One sequence of T tokens, H query heads, N key-value heads, C head dim; dense arrays.
#pragma once

#include <cmath>
#include <complex>
#include <cstdint>
#include <vector>

namespace moge::ref {

struct AttentionShape {
  int64_t T, H, N, C;
  double scale;
  int64_t window = 0;  ///< 0 = all

  int64_t first_key(int64_t t) const { return window > 0 && t >= window ? t - window + 1 : 0; }
};

inline double real_part(double x) { return x; }
inline double real_part(float x) { return static_cast<double>(x); }
inline double real_part(std::complex<double> x) { return x.real(); }

/// Probabilities of query (t, h) over keys [first_key(t), t]; returns their log-sum-exp.
template <class T>
T attention_row(const AttentionShape& a, const T* q_THC, const T* k_TNC, int64_t t, int64_t h,
                std::vector<T>& p) {
  const int64_t n = h / (a.H / a.N);
  p.clear();
  double largest = -INFINITY;
  for (int64_t key = a.first_key(t); key <= t; ++key) {
    T score = 0;
    for (int64_t c = 0; c < a.C; ++c)
      score += q_THC[(t * a.H + h) * a.C + c] * k_TNC[(key * a.N + n) * a.C + c];
    p.push_back(score * T(a.scale));
    largest = std::max(largest, real_part(p.back()));
  }
  T sum = 0;
  for (T& x : p) sum += x = std::exp(x - T(largest));
  for (T& x : p) x /= sum;
  return std::log(sum) + T(largest);
}

/// out[t][h] = sum over keys of softmax(scale * q . k) * v
template <class T>
void attention_forward(const AttentionShape& a, const T* q_THC, const T* k_TNC, const T* v_TNC,
                       T* out_THC, T* lse_TH) {
  std::vector<T> p;
  for (int64_t t = 0; t < a.T; ++t)
    for (int64_t h = 0; h < a.H; ++h) {
      const int64_t n = h / (a.H / a.N);
      lse_TH[t * a.H + h] = attention_row(a, q_THC, k_TNC, t, h, p);
      T* out = out_THC + (t * a.H + h) * a.C;
      for (int64_t c = 0; c < a.C; ++c) {
        out[c] = 0;
        for (size_t i = 0; i < p.size(); ++i)
          out[c] += p[i] * v_TNC[((a.first_key(t) + static_cast<int64_t>(i)) * a.N + n) * a.C + c];
      }
    }
}

/// dv = p^T dout; ds = p * (dout v^T - dout . out); dq = scale * ds k; dk = scale * ds^T q
template <class T>
void attention_backward(const AttentionShape& a, const T* q_THC, const T* k_TNC, const T* v_TNC,
                        const T* dout_THC, T* dq_THC, T* dk_TNC, T* dv_TNC) {
  for (int64_t i = 0; i < a.T * a.H * a.C; ++i) dq_THC[i] = 0;
  for (int64_t i = 0; i < a.T * a.N * a.C; ++i) dk_TNC[i] = dv_TNC[i] = 0;
  std::vector<T> p, dp;
  for (int64_t t = 0; t < a.T; ++t)
    for (int64_t h = 0; h < a.H; ++h) {
      const int64_t n = h / (a.H / a.N);
      attention_row(a, q_THC, k_TNC, t, h, p);
      const T* dout = dout_THC + (t * a.H + h) * a.C;
      const auto at = [&](size_t i) {
        return ((a.first_key(t) + static_cast<int64_t>(i)) * a.N + n) * a.C;
      };
      dp.assign(p.size(), T(0));
      T mean = 0;
      for (size_t i = 0; i < p.size(); ++i) {
        for (int64_t c = 0; c < a.C; ++c) {
          dp[i] += dout[c] * v_TNC[at(i) + c];
          dv_TNC[at(i) + c] += p[i] * dout[c];
        }
        mean += p[i] * dp[i];
      }
      for (size_t i = 0; i < p.size(); ++i) {
        const T ds = p[i] * (dp[i] - mean) * T(a.scale);
        for (int64_t c = 0; c < a.C; ++c) {
          dq_THC[(t * a.H + h) * a.C + c] += ds * k_TNC[at(i) + c];
          dk_TNC[at(i) + c] += ds * q_THC[(t * a.H + h) * a.C + c];
        }
      }
    }
}

}  // namespace moge::ref
