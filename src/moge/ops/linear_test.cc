// Grouped products against kernels/ref/gemm.h on every table of this machine.
#include "moge/ops/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "moge/kernels/ref/gemm.h"

namespace moge {
namespace {

// R routed rows, K input width, N output width, E experts.
struct Case {
  const char* name;
  std::vector<int32_t> rows_per_expert;
  int64_t n, k;
};

const std::vector<Case> kCases = {
    {"one_by_one", {1}, 1, 1},
    {"no_rows", {0}, 5, 7},
    {"no_depth", {3}, 4, 0},
    {"no_columns", {3}, 0, 4},
    {"odd_dense", {17}, 33, 31},
    {"even_dense", {64}, 64, 96},
    {"just_over_tiles", {15}, 65, 17},
    {"two_segments", {29}, 40, 1029},
    {"wide", {5}, 700, 24},
    {"ragged", {3, 0, 1, 14, 29}, 48, 40},
    {"ragged_odd", {0, 7, 13, 0, 2}, 19, 23},
    {"all_to_one", {0, 0, 50, 0}, 36, 20},
    {"many_rows", {600, 1, 300}, 34, 18},
    {"no_row_anywhere", {0, 0}, 8, 8},
};

std::vector<int32_t> offsets_of(const Case& c) {
  std::vector<int32_t> offsets = {0};
  for (const int32_t rows : c.rows_per_expert) offsets.push_back(offsets.back() + rows);
  return offsets;
}

std::vector<float> random_floats(int64_t count, uint64_t seed) {
  std::mt19937_64 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& v : values) v = normal(rng);
  return values;
}

/// fp32 values as T, and the values that T holds.
template <class T>
struct Rounded {
  std::vector<T> stored;
  std::vector<double> exact;

  Rounded(int64_t count, uint64_t seed) {
    for (const float v : random_floats(count, seed)) {
      stored.push_back(T(v));
      exact.push_back(static_cast<double>(static_cast<float>(stored.back())));
    }
  }
};

struct Machine {
  explicit Machine(const kernels::Table& table, int threads = 2)
      : pool(threads), arena(size_t{256} << 20), context{pool, table, arena} {}
  ThreadPool pool;
  Arena arena;
  Context context;
};

/// |a - b| within `factor` roundings of a sum of `length` products of that size.
template <class T>
void expect_near(double got, double want, int64_t length, double magnitude, const char* what) {
  const double eps = std::is_same_v<T, BFloat16> ? 0x1p-8 : 0x1p-24;
  const double sum_error = 0x1p-24 * (static_cast<double>(length) + 4) * magnitude;
  EXPECT_NEAR(got, want, sum_error + eps * (std::abs(want) + sum_error)) << what;
}

template <class T, class Out>
void check_forward(const kernels::Table& table, const Case& c, bool packed, LinearOptions options) {
  Machine m(table);
  const auto offsets = offsets_of(c);
  const int64_t R = offsets.back(), E = static_cast<int64_t>(c.rows_per_expert.size());
  const int64_t N = c.n, K = c.k, x_stride = K + 3, y_stride = N + 5;
  Rounded<T> x(R * x_stride + 1, 1), w(E * N * K + 1, 2);
  Rounded<Out> y(R * y_stride + 1, 3);
  Rounded<float> bias(N + 1, 4);
  Tensor x_RK = Tensor::of(x.stored.data(), {R, x_stride}).cols(0, K);
  Tensor y_RN = Tensor::of(y.stored.data(), {R, y_stride}).cols(0, N);
  Weight weight = Weight::grouped(Tensor::of(w.stored.data(), {E, N, K}));
  Buffer memory(static_cast<size_t>(packed_bytes(table, weight.dtype, E, N, K)) + 64);
  if (packed) weight = pack_weight(m.context, weight, weight.dtype, memory.data());
  linear_forward(m.context, x_RK, weight, offsets, Tensor::of(bias.stored.data(), {N}), y_RN,
                 options);
  EXPECT_EQ(m.arena.used(), 0u);
  EXPECT_LE(m.arena.high_water(), linear_scratch_bytes(m.context, R, E, N, K));
  for (int64_t e = 0; e < E; ++e)
    for (int64_t r = offsets[e]; r < offsets[e + 1]; ++r)
      for (int64_t n = 0; n < y_stride; ++n) {
        const double before = y.exact[r * y_stride + n];
        const double got = static_cast<float>(y.stored[r * y_stride + n]);
        if (n >= N) {
          EXPECT_EQ(got, before) << "a gap between rows was written";
          continue;
        }
        double want = bias.exact[n], size = std::abs(want);
        for (int64_t k = 0; k < K; ++k) {
          const double product = x.exact[r * x_stride + k] * w.exact[(e * N + n) * K + k];
          want += product, size += std::abs(product);
        }
        if (options.accumulate) want += before, size += std::abs(before);
        expect_near<Out>(got, want, K, size, c.name);
        if (::testing::Test::HasFailure()) return;
      }
}

template <class T, class Out>
void check_backward_input(const kernels::Table& table, const Case& c, LinearOptions options) {
  Machine m(table);
  const auto offsets = offsets_of(c);
  const int64_t R = offsets.back(), E = static_cast<int64_t>(c.rows_per_expert.size());
  const int64_t N = c.n, K = c.k;
  Rounded<T> dy(R * N + 1, 5), w(E * N * K + 1, 6);
  Rounded<Out> dx(R * K + 1, 7);
  linear_backward_input(m.context, Tensor::of(dy.stored.data(), {R, N}),
                        Weight::grouped(Tensor::of(w.stored.data(), {E, N, K})), offsets,
                        Tensor::of(dx.stored.data(), {R, K}), options);
  EXPECT_LE(m.arena.high_water(), linear_scratch_bytes(m.context, R, E, N, K));
  for (int64_t e = 0; e < E; ++e)
    for (int64_t r = offsets[e]; r < offsets[e + 1]; ++r)
      for (int64_t k = 0; k < K; ++k) {
        double want = options.accumulate ? dx.exact[r * K + k] : 0, size = std::abs(want);
        for (int64_t n = 0; n < N; ++n) {
          const double product = dy.exact[r * N + n] * w.exact[(e * N + n) * K + k];
          want += product, size += std::abs(product);
        }
        expect_near<Out>(static_cast<float>(dx.stored[r * K + k]), want, N, size, c.name);
        if (::testing::Test::HasFailure()) return;
      }
}

template <class T>
void check_backward_weight(const kernels::Table& table, const Case& c) {
  Machine m(table);
  const auto offsets = offsets_of(c);
  const int64_t R = offsets.back(), E = static_cast<int64_t>(c.rows_per_expert.size());
  const int64_t N = c.n, K = c.k;
  Rounded<T> dy(R * N + 1, 8), x(R * K + 1, 9);
  Rounded<float> dw(E * N * K + 1, 10), dbias(N + 1, 11);
  linear_backward_weight(
      m.context, Tensor::of(dy.stored.data(), {R, N}), Tensor::of(x.stored.data(), {R, K}), offsets,
      Tensor::of(dw.stored.data(), {E, N, K}), Tensor::of(dbias.stored.data(), {N}));
  EXPECT_LE(m.arena.high_water(), linear_scratch_bytes(m.context, R, E, N, K));
  auto want_dw = dw.exact, want_dbias = dbias.exact;
  ref::linear_backward_weight<double>(dy.exact.data(), x.exact.data(), offsets.data(), E, N, K,
                                      want_dw.data(), want_dbias.data());
  for (int64_t e = 0; e < E; ++e)
    for (int64_t n = 0; n < N; ++n)
      for (int64_t k = 0; k < K; ++k) {
        const int64_t i = (e * N + n) * K + k;
        double size = std::abs(dw.exact[i]);
        for (int64_t r = offsets[e]; r < offsets[e + 1]; ++r)
          size += std::abs(dy.exact[r * N + n] * x.exact[r * K + k]);
        expect_near<float>(dw.stored[i], want_dw[i], offsets[e + 1] - offsets[e], size, c.name);
        if (offsets[e] == offsets[e + 1]) {
          EXPECT_EQ(dw.stored[i], dw.exact[i]) << "an expert without rows changed";
        }
        if (::testing::Test::HasFailure()) return;
      }
  for (int64_t n = 0; n < N; ++n) {
    double size = std::abs(dbias.exact[n]);
    for (int64_t r = 0; r < R; ++r) size += std::abs(dy.exact[r * N + n]);
    expect_near<float>(dbias.stored[n], want_dbias[n], R, size, "dbias");
  }
}

class LinearTest : public ::testing::TestWithParam<const kernels::Table*> {
 protected:
  const kernels::Table& table() const { return *GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(Isa, LinearTest, ::testing::ValuesIn(kernels::available_tables()),
                         [](const auto& info) { return std::string(info.param->isa); });

TEST_P(LinearTest, ForwardEqualsTheSpecification) {
  for (const Case& c : kCases)
    for (const bool packed : {false, true})
      for (const bool accumulate : {false, true})
        for (const bool eighths : {false, true}) {
          const LinearOptions options{.accumulate = accumulate, .sum_in_eighths = eighths};
          check_forward<float, float>(table(), c, packed, options);
          check_forward<float, BFloat16>(table(), c, packed, options);
          check_forward<BFloat16, float>(table(), c, packed, options);
          check_forward<BFloat16, BFloat16>(table(), c, packed, options);
          ASSERT_FALSE(HasFailure()) << c.name << packed << accumulate << eighths;
        }
}

TEST_P(LinearTest, BackwardInputEqualsTheSpecification) {
  for (const Case& c : kCases)
    for (const bool accumulate : {false, true}) {
      const LinearOptions options{.accumulate = accumulate};
      check_backward_input<float, float>(table(), c, options);
      check_backward_input<float, BFloat16>(table(), c, options);
      check_backward_input<BFloat16, float>(table(), c, options);
      check_backward_input<BFloat16, BFloat16>(table(), c, options);
      ASSERT_FALSE(HasFailure()) << c.name << accumulate;
    }
}

TEST_P(LinearTest, BackwardWeightEqualsTheSpecification) {
  for (const Case& c : kCases) {
    check_backward_weight<float>(table(), c);
    check_backward_weight<BFloat16>(table(), c);
    ASSERT_FALSE(HasFailure()) << c.name;
  }
}

}  // namespace
}  // namespace moge
