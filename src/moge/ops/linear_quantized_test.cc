// Quantized products against the integer specification (kernels/ref/gmm.h), bit for bit, on every
// table of this machine. R routed rows, K input width, N output width, E experts.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "moge/core/test_errors.h"
#include "moge/kernels/ref/gmm.h"
#include "moge/ops/linear.h"

namespace moge {
namespace {

struct Case {
  const char* name;
  std::vector<int32_t> rows_per_expert;
  int64_t n, k;
  bool paired = false;

  int64_t experts() const { return static_cast<int64_t>(rows_per_expert.size()); }
  std::vector<int32_t> offsets() const {
    std::vector<int32_t> offsets = {0};
    for (const int32_t rows : rows_per_expert) offsets.push_back(offsets.back() + rows);
    return offsets;
  }
};

const std::vector<Case> kCases = {
    {"one_by_one", {1}, 1, 1},
    {"no_rows", {0}, 5, 7},
    {"no_columns", {3}, 0, 4},
    {"odd_dense", {17}, 33, 31},
    {"one_row", {1}, 96, 256},
    {"tail_of_groups", {2}, 40, 257},
    {"even_dense", {64}, 64, 96},
    {"long", {5}, 70, 1344},
    {"just_over_tiles", {15}, 65, 17},
    {"ragged", {3, 0, 1, 14, 29}, 48, 140},
    {"ragged_odd", {0, 7, 13, 0, 2}, 19, 130},
    {"all_to_one", {0, 0, 50, 0}, 36, 20},
    {"many_rows", {300, 1, 70}, 34, 18},
    {"no_row_anywhere", {0, 0}, 8, 8},
    {"paired", {3, 40}, 64, 128, true},
    {"paired_odd", {1, 0, 19}, 38, 133, true},
};

std::string name_of_format(WeightFormat format) {
  return format == WeightFormat::kW8A8 ? "w8a8" : "w4a8";
}

struct Machine {
  explicit Machine(const kernels::Table& table, int threads = 2)
      : pool(threads), arena(size_t{64} << 20), context{pool, table, arena} {}
  ThreadPool pool;
  Arena arena;
  Context context;
};

/// A weight as its values, as it lies on disk, and packed.
struct QuantizedWeight {
  QuantizedWeight(WeightFormat format, int64_t E, int64_t N, int64_t K, bool paired, uint64_t seed)
      : E(E), N(N), K(K), G((K + kInt4Group - 1) / kInt4Group), values(E * N * K), scales(E * N) {
    std::mt19937_64 rng(seed);
    const bool int4 = format == WeightFormat::kW4A8;
    std::uniform_int_distribution<int> value(int4 ? -8 : -128, int4 ? 7 : 127);
    std::uniform_real_distribution<float> scale(0.001f, 0.1f);
    for (int8_t& v : values) v = static_cast<int8_t>(value(rng));
    for (float& s : scales) s = scale(rng);
    for (int64_t i = 0; i < E * N * G; ++i) group_scales.push_back(BFloat16(scale(rng)));
    words.assign(E * N * ((K + 7) / 8), 0);
    for (int64_t row = 0; int4 && row < E * N; ++row)
      for (int64_t k = 0; k < K; ++k)
        words[row * ((K + 7) / 8) + k / 8] |= static_cast<uint32_t>(values[row * K + k] + 8)
                                              << (k % 8 * 4);
    weight = {.format = format, .experts = E, .n = N, .k = K, .paired = paired};
  }

  /// In ranges of `step` rows, the last one first.
  const Weight& pack(const Context& context, int64_t step) {
    memory = Buffer(static_cast<size_t>(packed_bytes(context.kernels, weight)) + 64);
    std::memset(memory.data(), 0x5a, memory.size());
    for (int64_t e = 0; e < E; ++e)
      for (int64_t first = (N - 1) / step * step; first >= 0; first -= step)
        pack_range(context, e, first, std::min(step, N - first));
    weight.data = memory.data();
    return weight;
  }

  float element(const int8_t* x_K, float x_scale, int64_t e, int64_t n) const {
    const int8_t* w_K = &values[(e * N + n) * K];
    if (weight.format == WeightFormat::kW8A8)
      return ref::dot_w8a8(x_K, x_scale, w_K, scales[e * N + n], K);
    std::vector<float> scale_G;
    for (int64_t g = 0; g < G; ++g)
      scale_G.push_back(static_cast<float>(group_scales[(e * N + n) * G + g]));
    return ref::dot_w4a8(x_K, x_scale, w_K, scale_G.data(), K);
  }

  int64_t E, N, K, G;
  std::vector<int8_t> values;
  std::vector<float> scales;
  std::vector<BFloat16> group_scales;
  std::vector<uint32_t> words;
  Weight weight;
  Buffer memory;

 private:
  void pack_range(const Context& context, int64_t e, int64_t first, int64_t rows) {
    const int64_t row = e * N + first;
    if (weight.format == WeightFormat::kW8A8)
      pack_rows(context, weight, e, first,
                Int8Rows{.rows = rows, .values_NK = &values[row * K], .scales_N = &scales[row]},
                memory.data());
    else
      pack_rows(context, weight, e, first,
                Int4Rows{.rows = rows,
                         .words_NK8 = &words[row * ((K + 7) / 8)],
                         .scales_NG = &group_scales[row * G]},
                memory.data());
  }
};

template <class T>
std::vector<T> random_rows(int64_t count, uint64_t seed) {
  std::mt19937_64 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<T> values(static_cast<size_t>(count) + 1);
  for (T& v : values) v = T(normal(rng));
  return values;
}

class QuantizedTest : public ::testing::TestWithParam<const kernels::Table*> {
 protected:
  const kernels::Table& table() const { return *GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(Isa, QuantizedTest, ::testing::ValuesIn(kernels::available_tables()),
                         [](const auto& info) { return std::string(info.param->isa); });

template <class X, class Y>
void check_forward(const kernels::Table& table, WeightFormat format, const Case& c,
                   bool accumulate) {
  Machine m(table);
  const auto offsets = c.offsets();
  const int64_t R = offsets.back(), N = c.n, K = c.k, x_stride = K + 3, y_stride = N + 5;
  QuantizedWeight w(format, c.experts(), N, K, c.paired, 1);
  if (N > 0) w.pack(m.context, 7);
  w.weight.data = w.memory.data();
  const auto x = random_rows<X>(R * x_stride, 2);
  auto y = random_rows<Y>(R * y_stride, 3);
  const auto before = y;
  const auto bias = random_rows<float>(N, 4);
  linear_forward(m.context, Tensor::of(x.data(), {R, x_stride}).cols(0, K), w.weight, offsets,
                 Tensor::of(bias.data(), {N}), Tensor::of(y.data(), {R, y_stride}).cols(0, N),
                 {.accumulate = accumulate});
  EXPECT_EQ(m.arena.used(), 0u);
  EXPECT_LE(m.arena.high_water(), linear_scratch_bytes(m.context, R, c.experts(), N, K));
  std::vector<float> x_row(K);
  std::vector<int8_t> q(K);
  for (int64_t e = 0; e < c.experts(); ++e)
    for (int64_t r = offsets[e]; r < offsets[e + 1]; ++r) {
      for (int64_t k = 0; k < K; ++k) x_row[k] = static_cast<float>(x[r * x_stride + k]);
      const float scale = ref::quantize_row(x_row.data(), K, q.data());
      for (int64_t n = 0; n < y_stride; ++n) {
        const float old = static_cast<float>(before[r * y_stride + n]);
        float want = old;
        if (n < N) {
          want = w.element(q.data(), scale, e, n) + bias[n];
          if (accumulate) want = old + want;
        }
        ASSERT_EQ(static_cast<float>(y[r * y_stride + n]), static_cast<float>(Y(want)))
            << c.name << " row " << r << " column " << n;
      }
    }
}

TEST_P(QuantizedTest, ForwardEqualsTheSpecification) {
  for (const auto format : {WeightFormat::kW8A8, WeightFormat::kW4A8})
    for (const Case& c : kCases)
      for (const bool accumulate : {false, true}) {
        check_forward<float, float>(table(), format, c, accumulate);
        check_forward<BFloat16, BFloat16>(table(), format, c, accumulate);
        ASSERT_FALSE(HasFatalFailure()) << name_of_format(format) << " " << c.name;
      }
}

TEST_P(QuantizedTest, RowsMayBeGatheredThroughAnIndex) {
  Machine m(table());
  const int64_t T = 6, K = 200, N = 50, R = 9;
  const std::vector<int32_t> offsets = {0, 4, 9};
  std::vector<int32_t> tokens = {5, 0, 2, 2, 1, 3, 5, 4, 0};
  const auto x = random_rows<float>(T * K, 10);
  for (const auto format : {WeightFormat::kW8A8, WeightFormat::kW4A8}) {
    QuantizedWeight w(format, 2, N, K, /*paired=*/false, 11);
    w.pack(m.context, N);
    const auto q = QuantizedRows::allocate(m.arena, T, K);
    EXPECT_EQ(m.arena.used(), QuantizedRows::bytes(T, K));
    quantize_rows(m.context, Tensor::of(x.data(), {T, K}), q);
    std::vector<float> got(R * N), want(R * N), rows;
    for (const int32_t t : tokens) rows.insert(rows.end(), &x[t * K], &x[t * K] + K);
    linear_forward(m.context, q, Tensor::of(tokens.data(), {R}), w.weight, offsets, {},
                   Tensor::of(got.data(), {R, N}));
    linear_forward(m.context, Tensor::of(rows.data(), {R, K}), w.weight, offsets, {},
                   Tensor::of(want.data(), {R, N}));
    EXPECT_EQ(got, want) << name_of_format(format);
    m.arena.reset_to(0);
  }
}

TEST_P(QuantizedTest, ExtremesDoNotSaturate) {
  Machine m(table());
  const int64_t R = 3, N = 34, K = 5400;
  for (const auto format : {WeightFormat::kW8A8, WeightFormat::kW4A8}) {
    QuantizedWeight w(format, 1, N, K, /*paired=*/false, 12);
    for (int64_t i = 0; i < N * K; ++i)  // rows of the lowest, of the highest value, and mixed
      w.values[i] = i / K % 3 == 0   ? (format == WeightFormat::kW8A8 ? -128 : -8)
                    : i / K % 3 == 1 ? (format == WeightFormat::kW8A8 ? 127 : 7)
                                     : w.values[i];
    w.words.assign(w.words.size(), 0);
    for (int64_t i = 0; i < N * K && format == WeightFormat::kW4A8; ++i)
      w.words[i / K * ((K + 7) / 8) + i % K / 8] |= static_cast<uint32_t>(w.values[i] + 8)
                                                    << (i % K % 8 * 4);
    w.pack(m.context, N);
    std::vector<float> x(R * K), y(R * N);
    for (int64_t i = 0; i < R * K; ++i)
      x[i] = i / K == 0 ? 1.0f : i / K == 1 ? -1.0f : i % 2 - 0.5f;
    linear_forward(m.context, Tensor::of(x.data(), {R, K}), w.weight, {}, {},
                   Tensor::of(y.data(), {R, N}));
    std::vector<int8_t> q(K);
    for (int64_t r = 0; r < R; ++r) {
      const float scale = ref::quantize_row(&x[r * K], K, q.data());
      for (int64_t n = 0; n < N; ++n)
        ASSERT_EQ(y[r * N + n], w.element(q.data(), scale, 0, n)) << name_of_format(format);
    }
  }
}

TEST_P(QuantizedTest, ARowsBitsDoNotDependOnItsPartnersOrThreads) {
  const bool scalar = std::string(table().isa) == "scalar";
  const int64_t most = 600, N = scalar ? 18 : 40, K = scalar ? 20 : 140;
  const auto x = random_rows<float>(most * K, 40);
  for (const auto format : {WeightFormat::kW8A8, WeightFormat::kW4A8}) {
    Machine one(table(), 1), two(table(), 2), three(table(), 3);
    QuantizedWeight w(format, 1, N, K, /*paired=*/false, 41);
    w.pack(one.context, N);
    const auto forward = [&](const Context& context, int64_t R) {  // the last R rows
      std::vector<float> y(R * N);
      linear_forward(context, Tensor::of(&x[(most - R) * K], {R, K}), w.weight, {}, {},
                     Tensor::of(y.data(), {R, N}));
      return y;
    };
    const auto all = forward(one.context, most);
    for (int64_t R = 1; R <= most; ++R) {
      const auto some = forward(R % 2 ? two.context : three.context, R);
      ASSERT_EQ(std::memcmp(some.data(), &all[(most - R) * N], some.size() * sizeof(float)), 0)
          << name_of_format(format) << " " << R << " rows";
    }
  }
}

TEST_P(QuantizedTest, RowsAreQuantizedAsSpecified) {
  Machine m(table());
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const int64_t K : {1, 5, 64, 129, 300}) {
    auto x = random_rows<float>(6 * K, 20);
    std::fill(&x[K], &x[2 * K], 0.0f);
    x[2 * K + K / 2] = 1e30f;
    x[3 * K + K / 2] = inf;
    x[4 * K + K / 2] = nan;
    for (int64_t k = 0; k < K; ++k) x[5 * K + k] = k % 2 ? 63.5f : 127.0f;
    const auto q = QuantizedRows::allocate(m.arena, 6, K);
    quantize_rows(m.context, Tensor::of(x.data(), {6, K}), q);
    for (int64_t r = 0; r < 6; ++r) {
      std::vector<int8_t> want(q.stride);
      const float scale = ref::quantize_row(&x[r * K], K, want.data());
      EXPECT_EQ(std::memcmp(&scale, &q.scales[r], 4), 0) << r;
      int32_t sum = 0, want_sum = 0;
      for (int64_t g = 0; g < (K + 127) / 128; ++g) sum += q.sums[r * ((K + 127) / 128) + g];
      for (int64_t k = 0; k < q.stride; ++k) {
        EXPECT_EQ(q.values[r * q.stride + k], want[k]) << r << " " << k;
        want_sum += want[k];
      }
      EXPECT_EQ(sum, want_sum);
    }
    m.arena.reset_to(0);
  }
}

TEST_P(QuantizedTest, FloatRowsPackAsWholeMatricesDo) {
  Machine m(table());
  const int64_t E = 2, N = 37, K = 41;
  const auto w = random_rows<BFloat16>(E * N * K, 30);
  const Weight source = Weight::grouped(Tensor::of(w.data(), {E, N, K}));
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    Weight packed = {.format = WeightFormat::kPacked, .dtype = dtype, .experts = E, .n = N, .k = K};
    const int64_t bytes = packed_bytes(table(), packed);
    EXPECT_EQ(bytes, packed_bytes(table(), dtype, E, N, K));
    Buffer whole(static_cast<size_t>(bytes)), ranges(static_cast<size_t>(bytes));
    pack_weight(m.context, source, dtype, whole.data());
    for (int64_t e = 0; e < E; ++e)
      for (const auto& [first, rows] : {std::pair<int64_t, int64_t>{20, 17}, {0, 20}})
        pack_rows(
            m.context, packed, e, first,
            FloatRows{.rows = rows, .dtype = DType::kBF16, .values_NK = &w[(e * N + first) * K]},
            ranges.data());
    EXPECT_EQ(std::memcmp(whole.data(), ranges.data(), static_cast<size_t>(bytes)), 0)
        << name_of(dtype);
  }
}

TEST(QuantizedErrors, RangesAndShapes) {
  Machine m(*kernels::available_tables().front());
  Weight w = {.format = WeightFormat::kW8A8, .experts = 2, .n = 6, .k = 8};
  Buffer memory(static_cast<size_t>(packed_bytes(m.context.kernels, w)));
  w.data = memory.data();
  const auto pack = [&](const Weight& weight, int64_t e, int64_t first, int64_t rows) {
    return message_of(
        [&] { pack_rows(m.context, weight, e, first, Int8Rows{.rows = rows}, memory.data()); });
  };
  EXPECT_EQ(pack(w, 2, 0, 1), "[pack_rows] expert 2 is outside [0, 2)");
  EXPECT_EQ(pack(w, 0, 4, 3), "[pack_rows] rows 4 to 7 are outside [0, 6)");
  Weight other = w;
  other.format = WeightFormat::kW4A8;
  EXPECT_EQ(pack(other, 0, 0, 1), "[pack_rows] the weight has another format than these rows");
  other = w;
  other.paired = true, other.n = 5;
  EXPECT_EQ(pack(other, 0, 0, 1), "[pack_rows] 5 paired channels, want an even number");
  EXPECT_EQ(message_of([&] { packed_bytes(m.context.kernels, Weight{}); }),
            "[packed_bytes] the weight's format is row-major");
  std::vector<float> floats(64);
  const auto q = QuantizedRows::allocate(m.arena, 3, 7);
  const auto forward = [&](const Weight& weight) {
    return message_of([&] {
      linear_forward(m.context, q, {}, weight, {}, {}, Tensor::of(floats.data(), {3, 6}));
    });
  };
  EXPECT_EQ(forward(w), "[linear_forward] quantized x has 7 columns, want 8");
  EXPECT_EQ(forward(Weight::dense(Tensor::of(floats.data(), {6, 7}))),
            "[linear_forward] the input is quantized but the weight is not");
  EXPECT_EQ(message_of([&] {
              quantize_rows(m.context, Tensor::of(floats.data(), {3, 8}), q);
            }),
            "[quantize_rows] x is float32 [3, 8], want [3, 7]");
}

}  // namespace
}  // namespace moge
