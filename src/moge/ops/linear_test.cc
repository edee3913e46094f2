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

#include "moge/core/test_errors.h"
#include "moge/kernels/ref/gemm.h"

namespace moge {

namespace kernels::avx512_bf16 {
extern const GemmKernels kGemmBf16;
}

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

/// One forward product of fp32 outputs, as bytes.
template <class T>
std::vector<float> forward(Context context, const std::vector<T>& x, int64_t R,
                           const std::vector<T>& w, int64_t N, int64_t K,
                           LinearOptions options = {}) {
  std::vector<float> y(R * N, -1.0f);
  linear_forward(context, Tensor::of(x.data(), {R, K}), Weight::dense(Tensor::of(w.data(), {N, K})),
                 {}, {}, Tensor::of(y.data(), {R, N}), options);
  return y;
}

void expect_same_bits(const float* a, const float* b, int64_t count, const std::string& what) {
  EXPECT_EQ(std::memcmp(a, b, count * sizeof(float)), 0) << what;
}

template <class T>
void check_row_invariance(const kernels::Table& table, int64_t N, int64_t K, bool eighths) {
  constexpr int64_t kMost = 200;
  Machine m(table);
  const Rounded<T> x(kMost * K, 20), w(N * K, 21);
  const LinearOptions options{.sum_in_eighths = eighths};
  const auto all = forward(m.context, x.stored, kMost, w.stored, N, K, options);
  for (int64_t R = 1; R < kMost; ++R) {  // the last R rows: every row at another place
    const std::vector<T> some(x.stored.end() - R * K, x.stored.end());
    const auto y = forward(m.context, some, R, w.stored, N, K, options);
    expect_same_bits(y.data(), all.data() + (kMost - R) * N, R * N, std::to_string(R) + " rows");
    if (::testing::Test::HasFailure()) return;
  }
}

TEST_P(LinearTest, ARowsBitsDoNotDependOnItsPartners) {
  check_row_invariance<float>(table(), 40, 70, /*eighths=*/false);
  check_row_invariance<BFloat16>(table(), 40, 70, /*eighths=*/false);
  check_row_invariance<float>(table(), 33, 48, /*eighths=*/true);
  check_row_invariance<BFloat16>(table(), 33, 48, /*eighths=*/true);
  check_row_invariance<float>(table(), 17, 530, /*eighths=*/false);
}

/// The last R rows of 600 times a packed weight: the bits that they have among all of them.
template <class T>
void check_packed_rows(const kernels::Table& table, int64_t N, int64_t K,
                       const std::vector<int64_t>& counts, bool eighths = false) {
  constexpr int64_t kMost = 600;
  Machine m(table);
  const Rounded<T> x(kMost * K, 50), w(N * K, 51);
  const LinearOptions options{.sum_in_eighths = eighths};
  const auto all = forward(m.context, x.stored, kMost, w.stored, N, K, options);  // row-major
  const Weight source = Weight::dense(Tensor::of(w.stored.data(), {N, K}));
  Buffer memory(static_cast<size_t>(packed_bytes(table, source.dtype, 1, N, K)));
  const Weight packed = pack_weight(m.context, source, source.dtype, memory.data());
  for (const int64_t R : counts) {
    std::vector<float> y(R * N, -1.0f);
    linear_forward(m.context, Tensor::of(x.stored.data() + (kMost - R) * K, {R, K}), packed, {}, {},
                   Tensor::of(y.data(), {R, N}), options);
    expect_same_bits(y.data(), all.data() + (kMost - R) * N, R * N, std::to_string(R) + " rows");
    if (::testing::Test::HasFailure()) return;
  }
}

TEST_P(LinearTest, PackedRowsBitsDoNotDependOnTheirNumber) {
  std::vector<int64_t> every(600);
  std::iota(every.begin(), every.end(), 1);
  check_packed_rows<float>(table(), 35, 40, every);
  check_packed_rows<BFloat16>(table(), 35, 40, every);
  const std::vector<int64_t> some = {1,  14,  15,  57,
                                     99, 113, 253, 600};  // K is cut from the third on
  for (const bool eighths : {false, true}) {
    check_packed_rows<float>(table(), 67, 1300, some, eighths);
    check_packed_rows<BFloat16>(table(), 67, 2501, some, eighths);
  }
}

TEST_P(LinearTest, PackedWeightsGiveTheBitsOfRowMajorOnes) {
  Machine m(table());
  const int64_t E = 3, N = 70, K = 1043, R = 25;
  const std::vector<int32_t> offsets = {0, 4, 4, 25};
  const Rounded<BFloat16> x(R * K, 22), w(E * N * K, 23);
  std::vector<float> x_f(x.exact.begin(), x.exact.end()), w_f(w.exact.begin(), w.exact.end());
  const Weight w_bf16 = Weight::grouped(Tensor::of(w.stored.data(), {E, N, K}));
  const Weight w_fp32 = Weight::grouped(Tensor::of(w_f.data(), {E, N, K}));
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const Weight& row_major = dtype == DType::kBF16 ? w_bf16 : w_fp32;
    const Tensor x_RK = dtype == DType::kBF16 ? Tensor::of(x.stored.data(), {R, K})
                                              : Tensor::of(x_f.data(), {R, K});
    std::vector<float> want(R * N), got(R * N);
    linear_forward(m.context, x_RK, row_major, offsets, {}, Tensor::of(want.data(), {R, N}));
    for (const Weight& source : {w_bf16, w_fp32}) {  // both conversions are exact here
      Buffer memory(static_cast<size_t>(packed_bytes(table(), dtype, E, N, K)));
      const Weight packed = pack_weight(m.context, source, dtype, memory.data());
      EXPECT_EQ(packed.format, WeightFormat::kPacked);
      linear_forward(m.context, x_RK, packed, offsets, {}, Tensor::of(got.data(), {R, N}));
      expect_same_bits(got.data(), want.data(), R * N, name_of(dtype));
    }
  }
}

/// The products of equal slices of K, added pairwise.
template <class T>
std::vector<float> sum_of_slices(const Context& context, const Rounded<T>& x, int64_t R,
                                 const Rounded<T>& w, int64_t N, int64_t K, int slices) {
  std::vector<std::vector<float>> sums;
  const int64_t width = K / slices;
  for (int s = 0; s < slices; ++s) {
    std::vector<T> x_part, w_part;
    for (int64_t r = 0; r < R; ++r)
      x_part.insert(x_part.end(), &x.stored[r * K + s * width],
                    &x.stored[r * K + s * width] + width);
    for (int64_t n = 0; n < N; ++n)
      w_part.insert(w_part.end(), &w.stored[n * K + s * width],
                    &w.stored[n * K + s * width] + width);
    sums.push_back(forward(context, x_part, R, w_part, N, width,
                           {.sum_in_eighths = true, .k_slices = slices}));
  }
  for (; slices > 1; slices /= 2)
    for (int s = 0; s < slices / 2; ++s)
      for (int64_t i = 0; i < R * N; ++i) sums[s][i] = sums[2 * s][i] + sums[2 * s + 1][i];
  return sums[0];
}

TEST_P(LinearTest, EighthsEqualSlicesOfKAddedPairwise) {
  Machine m(table());
  for (const int64_t K : {16, 96, 4352, 8224}) {  // the last two: eighths of more than one segment
    const int64_t R = 5, N = 37;
    const Rounded<float> x(R * K, 24), w(N * K, 25);
    const Rounded<BFloat16> xh(R * K, 24), wh(N * K, 25);
    const auto whole = forward(m.context, x.stored, R, w.stored, N, K, {.sum_in_eighths = true});
    const auto whole_h =
        forward(m.context, xh.stored, R, wh.stored, N, K, {.sum_in_eighths = true});
    for (const int slices : {2, 4, 8}) {
      const std::string what = std::to_string(K) + " in " + std::to_string(slices);
      const auto parts = sum_of_slices(m.context, x, R, w, N, K, slices);
      expect_same_bits(parts.data(), whole.data(), R * N, what);
      const auto parts_h = sum_of_slices(m.context, xh, R, wh, N, K, slices);
      expect_same_bits(parts_h.data(), whole_h.data(), R * N, what + " bf16");
    }
  }
}

/// Every output of one step of a grouped layer, in one row.
template <class T>
std::vector<float> whole_step(const kernels::Table& table, int threads) {
  Machine m(table, threads);
  const int64_t E = 5, N = 150, K = 90;
  const std::vector<int32_t> offsets = {0, 700, 701, 701, 1100, 1111};
  const int64_t R = offsets.back();
  const Rounded<T> x(R * K, 26), w(E * N * K, 27), dy(R * N, 28);
  std::vector<float> out(R * N + R * K + E * N * K + N);
  float *y = out.data(), *dx = y + R * N, *dw = dx + R * K, *dbias = dw + E * N * K;
  const Weight weight = Weight::grouped(Tensor::of(w.stored.data(), {E, N, K}));
  const Tensor x_RK = Tensor::of(x.stored.data(), {R, K});
  const Tensor dy_RN = Tensor::of(dy.stored.data(), {R, N});
  linear_forward(m.context, x_RK, weight, offsets, {}, Tensor::of(y, {R, N}),
                 {.sum_in_eighths = true});
  linear_backward_input(m.context, dy_RN, weight, offsets, Tensor::of(dx, {R, K}));
  linear_backward_weight(m.context, dy_RN, x_RK, offsets, Tensor::of(dw, {E, N, K}),
                         Tensor::of(dbias, {N}));
  return out;
}

TEST_P(LinearTest, AnyNumberOfThreadsGivesTheSameBits) {
  const auto one = whole_step<float>(table(), 1), one_h = whole_step<BFloat16>(table(), 1);
  for (const int threads : {2, 3}) {
    const auto more = whole_step<float>(table(), threads);
    const auto more_h = whole_step<BFloat16>(table(), threads);
    const std::string what = std::to_string(threads) + " threads";
    expect_same_bits(more.data(), one.data(), static_cast<int64_t>(one.size()), what);
    expect_same_bits(more_h.data(), one_h.data(), static_cast<int64_t>(one.size()), what + " bf16");
  }
}

TEST(LinearBf16, EveryInstructionSetWithFmaGivesTheSameBits) {
  const auto& tables = kernels::available_tables();
  if (tables.size() < 2) GTEST_SKIP() << "this CPU has no FMA";
  const auto want = whole_step<BFloat16>(*tables[0], 2);
  const int64_t count = static_cast<int64_t>(want.size());
  for (size_t t = 1; t + 1 < tables.size(); ++t) {
    const auto got = whole_step<BFloat16>(*tables[t], 2);
    expect_same_bits(got.data(), want.data(), count, tables[t]->isa);
  }
  if (std::string(tables[0]->isa) != "avx512_bf16") return;
  kernels::Table dot = *tables[0];  // dpbf16 itself, which Intel's table does not choose
  dot.gemm_bf16 = kernels::avx512_bf16::kGemmBf16;
  const auto got = whole_step<BFloat16>(dot, 2);
  expect_same_bits(got.data(), want.data(), count, "dpbf16");
}

/// x's rows in the order of `index`.
template <class T>
std::vector<T> gathered(const std::vector<T>& x, int64_t width, const std::vector<int32_t>& index) {
  std::vector<T> rows;
  for (const int32_t i : index)
    rows.insert(rows.end(), x.begin() + i * width, x.begin() + (i + 1) * width);
  return rows;
}

/// The three products with rows of x (T tokens) gathered on the way give the bits of the same
/// products of a copy in that order.
template <class T>
void check_gathered(const kernels::Table& table, std::vector<int32_t> rows_per_expert) {
  Machine m(table);
  const Case c = {"gathered", std::move(rows_per_expert), 37, 70};
  auto offsets = offsets_of(c);
  const int64_t R = offsets.back(), E = static_cast<int64_t>(c.rows_per_expert.size()), tokens = 23;
  const int64_t N = c.n, K = c.k;
  std::vector<int32_t> index(static_cast<size_t>(R));
  for (int64_t r = 0; r < R; ++r) index[r] = static_cast<int32_t>(r * r * 5 + r) % tokens;
  const Tensor index_R = Tensor::of(index.data(), {R});
  Rounded<T> x(tokens * K, 41), dy(tokens * N, 42), w(E * N * K, 43), other(R * (N + K), 44);
  auto x_rows = gathered(x.stored, K, index), dy_rows = gathered(dy.stored, N, index);
  const Tensor x_TK = Tensor::of(x.stored.data(), {tokens, K});
  const Tensor dy_TN = Tensor::of(dy.stored.data(), {tokens, N});
  const Tensor x_RK = Tensor::of(x_rows.data(), {R, K}), dy_RN = Tensor::of(dy_rows.data(), {R, N});
  const Weight weight = Weight::grouped(Tensor::of(w.stored.data(), {E, N, K}));
  std::vector<float> a(R * (N + K) + 2 * E * N * K), b(a.size());
  const auto run = [&](std::vector<float>& out, bool gather) {
    const Tensor rows = gather ? index_R : Tensor{};
    float* to = out.data();
    linear_forward(m.context, gather ? x_TK : x_RK, weight, offsets, {}, Tensor::of(to, {R, N}),
                   {.token_of_R = rows});
    to += R * N;
    linear_backward_input(m.context, gather ? dy_TN : dy_RN, weight, offsets,
                          Tensor::of(to, {R, K}), {.token_of_R = rows});
    to += R * K;
    linear_backward_weight(m.context, Tensor::of(other.stored.data(), {R, N}), gather ? x_TK : x_RK,
                           offsets, Tensor::of(to, {E, N, K}), {}, {.x = rows});
    to += E * N * K;
    linear_backward_weight(m.context, gather ? dy_TN : dy_RN,
                           Tensor::of(other.stored.data(), {R, K}), offsets,
                           Tensor::of(to, {E, N, K}), {}, {.dy = rows});
  };
  run(a, false);
  run(b, true);
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
}

TEST_P(LinearTest, GatheredRowsGiveTheBitsOfACopy) {
  for (const auto& rows : {std::vector<int32_t>{3, 0, 41, 15}, {1}, {90}, {0, 700}}) {
    check_gathered<float>(table(), rows);
    check_gathered<BFloat16>(table(), rows);
  }
}

// The specification's own backward against complex steps through its forward.
TEST(LinearSpecification, GradientsEqualComplexSteps) {
  using Complex = std::complex<double>;
  const int64_t E = 2, N = 3, K = 4, R = 5;
  const std::vector<int32_t> offsets = {0, 2, 5};
  const Rounded<float> x(R * K, 30), w(E * N * K, 31), bias(N, 32), dy(R * N, 33);
  std::vector<double> dx(R * K), dw(E * N * K), dbias(N);
  ref::linear_backward_input<double>(dy.exact.data(), w.exact.data(), offsets.data(), E, N, K,
                                     dx.data());
  ref::linear_backward_weight<double>(dy.exact.data(), x.exact.data(), offsets.data(), E, N, K,
                                      dw.data(), dbias.data());
  std::vector<Complex> xc(x.exact.begin(), x.exact.end()), wc(w.exact.begin(), w.exact.end());
  std::vector<Complex> bc(bias.exact.begin(), bias.exact.end()), y(R * N);
  const auto derivative = [&](Complex& at) {  // of sum(dy * y)
    const Complex before = at;
    at += Complex(0, 1e-30);
    ref::linear_forward(xc.data(), wc.data(), bc.data(), offsets.data(), E, N, K, y.data());
    at = before;
    double sum = 0;
    for (int64_t i = 0; i < R * N; ++i) sum += dy.exact[i] * y[i].imag() / 1e-30;
    return sum;
  };
  for (int64_t i = 0; i < R * K; ++i) EXPECT_NEAR(derivative(xc[i]), dx[i], 1e-12);
  for (int64_t i = 0; i < E * N * K; ++i) EXPECT_NEAR(derivative(wc[i]), dw[i], 1e-12);
  for (int64_t i = 0; i < N; ++i) EXPECT_NEAR(derivative(bc[i]), dbias[i], 1e-12);
}

class LinearErrors : public ::testing::Test {
 protected:
  LinearErrors() : machine(*kernels::available_tables().front()), floats(4096), halves(4096) {}
  Tensor f32(std::initializer_list<int64_t> shape) { return Tensor::of(floats.data(), shape); }
  Tensor bf16(std::initializer_list<int64_t> shape) { return Tensor::of(halves.data(), shape); }
  Tensor i32(std::initializer_list<int64_t> shape) {
    return Tensor(floats.data(), DType::kI32, shape);
  }
  std::string forward(Tensor x, Weight w, std::vector<int32_t> groups, Tensor bias, Tensor y,
                      LinearOptions options = {}) {
    return message_of([&] { linear_forward(machine.context, x, w, groups, bias, y, options); });
  }
  std::string backward_input(Tensor dy, Weight w, Tensor dx) {
    return message_of([&] { linear_backward_input(machine.context, dy, w, {}, dx); });
  }
  std::string backward_weight(Tensor dy, Tensor x, Tensor dw, Tensor dbias) {
    return message_of([&] { linear_backward_weight(machine.context, dy, x, {}, dw, dbias); });
  }
  Weight dense() { return Weight::dense(f32({6, 8})); }
  Weight grouped() { return Weight::grouped(f32({2, 6, 8})); }

  Machine machine;
  std::vector<float> floats;
  std::vector<BFloat16> halves;
};

TEST_F(LinearErrors, Weights) {
  EXPECT_EQ(message_of([&] {
              Weight::dense(f32({2, 6, 8}));
            }),
            "[linear] weight is float32 [2, 6, 8], want a dense matrix");
  EXPECT_EQ(message_of([&] {
              Weight::dense(f32({6, 16}).cols(0, 8));
            }),
            "[linear] weight is float32 [6, 8], want a dense matrix");
  EXPECT_EQ(message_of([&] {
              Weight::grouped(f32({6, 8}));
            }),
            "[linear] weight is float32 [6, 8], want dense [E, N, K]");
  EXPECT_EQ(message_of([&] {
              pack_weight(machine.context, Weight{.format = WeightFormat::kPacked}, DType::kF32,
                          nullptr);
            }),
            "[pack_weight] the weight is packed already");
  EXPECT_EQ(message_of([&] {
              pack_weight(machine.context, Weight::dense(i32({6, 8})), DType::kF32, nullptr);
            }),
            "[pack_weight] source is int32, want float32 or bfloat16");
  EXPECT_EQ(message_of([&] { pack_weight(machine.context, dense(), DType::kI8, nullptr); }),
            "[pack_weight] target is int8, want float32 or bfloat16");
  EXPECT_EQ(message_of([&] { packed_bytes(machine.context.kernels, DType::kF16, 1, 2, 3); }),
            "[packed_bytes] weight is float16, want float32 or bfloat16");
  Weight huge = dense();
  huge.k = int64_t{1} << 40;
  EXPECT_EQ(forward(f32({3, 8}), huge, {}, {}, f32({3, 6})),
            "[linear_forward] weight of 1 experts, 6 x 1099511627776 is out of range");
}

TEST_F(LinearErrors, ShapesAndTypes) {
  EXPECT_EQ(forward(f32({3, 7}), dense(), {}, {}, f32({3, 6})),
            "[linear_forward] x is float32 [3, 7], want [3, 8]");
  EXPECT_EQ(forward(f32({3, 8}), dense(), {}, {}, f32({4, 6})),
            "[linear_forward] y is float32 [4, 6], want [3, 6]");
  EXPECT_EQ(forward(bf16({3, 8}), dense(), {}, {}, f32({3, 6})),
            "[linear_forward] input is bfloat16, want the weight's float32");
  EXPECT_EQ(forward(i32({3, 8}), Weight::dense(i32({6, 8})), {}, {}, f32({3, 6})),
            "[linear_forward] weight is int32, want float32 or bfloat16");
  EXPECT_EQ(forward(f32({3, 8}), dense(), {}, {}, i32({3, 6})),
            "[linear_forward] y is int32, want float32 or bfloat16");
  EXPECT_EQ(forward(f32({3, 8}), dense(), {}, f32({5}), f32({3, 6})),
            "[linear_forward] bias is float32 [5], want float32 [6]");
  EXPECT_EQ(forward(f32({3, 8}), dense(), {}, bf16({6}), f32({3, 6})),
            "[linear_forward] bias is bfloat16 [6], want float32 [6]");
  EXPECT_EQ(forward(f32({3, 8}), dense(), {}, {}, f32({3, 6}), {.k_slices = 3}),
            "[linear_forward] K cut into 3 slices, want 1, 2, 4 or 8");
}

TEST_F(LinearErrors, Groups) {
  const Tensor x = f32({3, 8}), y = f32({3, 6});
  EXPECT_EQ(forward(x, grouped(), {}, {}, y), "[linear_forward] 2 experts but no groups of rows");
  EXPECT_EQ(forward(x, grouped(), {0, 3}, {}, y),
            "[linear_forward] groups have 2 offsets, want 3 for 2 experts");
  EXPECT_EQ(forward(x, grouped(), {0, 4, 3}, {}, y),
            "[linear_forward] offset 4 of group 1 is above the next one, 3");
  EXPECT_EQ(forward(x, grouped(), {0, 1, 2}, {}, y),
            "[linear_forward] groups cover rows 0 to 2, want 0 to 3");
  EXPECT_EQ(forward(Tensor::of(floats.data(), {int64_t{1} << 31, 0}), Weight::dense(f32({6, 0})),
                    {}, {}, Tensor::of(floats.data(), {int64_t{1} << 31, 6})),
            "[linear_forward] 2147483648 rows, at most 2147483647 are possible");
}

TEST_F(LinearErrors, Backward) {
  EXPECT_EQ(backward_input(f32({3, 5}), dense(), f32({3, 8})),
            "[linear_backward_input] dy is float32 [3, 5], want [3, 6]");
  EXPECT_EQ(backward_input(f32({3, 6}), dense(), f32({3, 9})),
            "[linear_backward_input] dx is float32 [3, 9], want [3, 8]");
  Weight packed = dense();
  packed.format = WeightFormat::kPacked;
  EXPECT_EQ(backward_input(f32({3, 6}), packed, f32({3, 8})),
            "[linear_backward_input] the weight is packed, want row-major");
  EXPECT_EQ(
      backward_weight(f32({3, 6}), f32({3, 8}), bf16({6, 8}), {}),
      "[linear_backward_weight] dw is bfloat16 [6, 8], want dense float32 [E, N, K] or [N, K]");
  EXPECT_EQ(backward_weight(f32({3, 5}), f32({3, 8}), f32({6, 8}), {}),
            "[linear_backward_weight] dy is float32 [3, 5], want [3, 6]");
  EXPECT_EQ(backward_weight(f32({3, 6}), f32({2, 8}), f32({6, 8}), {}),
            "[linear_backward_weight] x is float32 [2, 8], want [3, 8]");
  EXPECT_EQ(backward_weight(bf16({3, 6}), f32({3, 8}), f32({6, 8}), {}),
            "[linear_backward_weight] dy is bfloat16, x is float32, want one type");
  EXPECT_EQ(backward_weight(f32({3, 6}), f32({3, 8}), f32({6, 8}), f32({8})),
            "[linear_backward_weight] dbias is float32 [8], want float32 [6]");
}

}  // namespace
}  // namespace moge
