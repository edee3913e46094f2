// The fused expert layer against the same layer from single ops: equal bits, on every table.
// T tokens, D model dim, E experts, K chosen per token, R = T*K routed rows, F and S expert widths.
#include "moge/ops/expert_mlp.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "moge/core/test_errors.h"
#include "moge/ops/elementwise.h"
#include "moge/ops/moe.h"

namespace moge {
namespace {

struct Case {
  const char* name;
  int64_t T, D, E, K, G, F, S;
  bool all_to_one = false, shared_gate = false;
};

const std::vector<Case> kCases = {
    {"one_token", 1, 64, 8, 4, 4, 48, 0},
    {"odd", 3, 70, 6, 2, 2, 18, 0},
    {"shared", 5, 96, 8, 4, 2, 32, 80},
    {"shared_gate", 7, 33, 4, 2, 1, 16, 24, false, true},
    {"all_to_one", 40, 64, 8, 1, 1, 48, 50, true},
    {"many", 300, 40, 4, 2, 2, 34, 36},
    {"dense", 17, 72, 0, 0, 1, 0, 90},
    {"no_token", 0, 64, 8, 4, 4, 48, 16},
};

struct Machine {
  explicit Machine(const kernels::Table& table, int threads)
      : pool(threads), arena(size_t{64} << 20), context{pool, table, arena} {}
  ThreadPool pool;
  Arena arena;
  Context context;
};

/// Random weights of one format, packed.
struct Packed {
  Packed(const Context& context, WeightFormat format, DType dtype, int64_t E, int64_t N, int64_t K,
         bool paired, uint64_t seed) {
    std::mt19937_64 rng(seed);
    weight = {.format = format, .dtype = dtype, .experts = E, .n = N, .k = K, .paired = paired};
    memory = Buffer(static_cast<size_t>(packed_bytes(context.kernels, weight)) + 64);
    for (int64_t e = 0; e < E; ++e) fill(context, e, rng);
    weight.data = memory.data();
  }

  void fill(const Context& context, int64_t e, std::mt19937_64& rng) {
    const int64_t N = weight.n, K = weight.k;
    std::uniform_real_distribution<float> scale(0.002f, 0.004f);
    if (weight.format == WeightFormat::kPacked) {
      std::normal_distribution<float> normal(0, 0.2f);
      std::vector<float> values(N * K + 1);
      for (auto& v : values) v = normal(rng);
      pack_rows(context, weight, e, 0, FloatRows{.rows = N, .values_NK = values.data()},
                memory.data());
    } else if (weight.format == WeightFormat::kW8A8) {
      std::vector<int8_t> values(N * K + 1);
      std::vector<float> scales(N + 1);
      for (auto& v : values) v = static_cast<int8_t>(rng());
      for (auto& s : scales) s = scale(rng);
      pack_rows(context, weight, e, 0,
                Int8Rows{.rows = N, .values_NK = values.data(), .scales_N = scales.data()},
                memory.data());
    } else {
      std::vector<uint32_t> words(N * ((K + 7) / 8) + 1);
      std::vector<BFloat16> scales(N * ((K + 127) / 128) + 1);
      for (auto& v : words) v = static_cast<uint32_t>(rng());
      for (auto& s : scales) s = BFloat16(16 * scale(rng));
      pack_rows(context, weight, e, 0,
                Int4Rows{.rows = N, .words_NK8 = words.data(), .scales_NG = scales.data()},
                memory.data());
    }
  }

  Weight weight;
  Buffer memory;
};

struct Layer {
  Layer(const Context& context, const Case& c, WeightFormat format, DType dtype)
      : c(c), dtype(dtype) {
    experts.down_sum.sum_in_eighths = experts.shared_down_sum.sum_in_eighths = c.T % 2 == 0;
    std::mt19937_64 rng(7);
    std::normal_distribution<float> normal;
    const int64_t R = c.T * c.K;
    for (int64_t i = 0; i < c.T * c.D + 1; ++i) x.push_back(normal(rng));
    for (int64_t i = 0; i < R + 1; ++i) weights.push_back(std::abs(normal(rng)));
    for (int64_t i = 0; i < c.T + 1; ++i) gate.push_back(normal(rng));
    for (int64_t t = 0; t < c.T; ++t)  // one expert of each group of E / K
      for (int64_t k = 0; k < c.K; ++k)
        ids.push_back(static_cast<int32_t>(
            c.all_to_one ? c.E / 2 : k * (c.E / c.K) + static_cast<int64_t>(rng() % (c.E / c.K))));
    ids.push_back(0), offsets.resize(c.E + 1), row_of.resize(R + 1), token_of.resize(R + 1);
    routing.num_groups = c.G;
    if (c.E > 0) {
      routing.offsets_E1 = Tensor::of(offsets.data(), {c.E + 1});
      routing.row_of_TK = Tensor::of(row_of.data(), {c.T, c.K});
      routing.token_of_R = Tensor::of(token_of.data(), {R});
      routing.weights_TK = Tensor::of(weights.data(), {c.T, c.K});
      sort_by_expert(context, Tensor::of(ids.data(), {c.T, c.K}), c.E, routing.offsets_E1,
                     routing.row_of_TK, routing.token_of_R);
      add(experts.gate_up_E2FD, context, format, dtype, c.E, 2 * c.F, c.D, true);
      add(experts.down_EDF, context, format, dtype, c.E, c.D, c.F, false);
    }
    if (c.shared_gate) routing.shared_gate_T = Tensor::of(gate.data(), {c.T});
    if (c.S > 0) {
      add(experts.shared_gate_up_2SD, context, format, dtype, 1, 2 * c.S, c.D, true);
      add(experts.shared_down_DS, context, format, dtype, 1, c.D, c.S, false);
    }
  }
  void add(Weight& weight, const Context& context, WeightFormat format, DType dtype, int64_t E,
           int64_t N, int64_t K, bool paired) {
    packed.push_back(
        std::make_unique<Packed>(context, format, dtype, E, N, K, paired, packed.size()));
    weight = packed.back()->weight;
    if (format == WeightFormat::kPacked)  // linear_forward takes no pairs of floats
      paired = false;
    packed.push_back(
        std::make_unique<Packed>(context, format, dtype, E, N, K, paired, packed.size() - 1));
  }
  /// The weight for single ops.
  const Weight& single(const Weight& weight) const {
    for (size_t i = 0; i < packed.size(); i += 2)
      if (packed[i]->weight.data == weight.data) return packed[i + 1]->weight;
    return weight;
  }
  /// As the experts' input is.
  Tensor typed(const std::vector<float>& values, int64_t rows, int64_t columns,
               std::vector<BFloat16>& memory) const {
    if (dtype == DType::kF32) return Tensor::of(values.data(), {rows, columns});
    for (int64_t i = 0; i < rows * columns + 1; ++i)
      memory.push_back(BFloat16(i < rows * columns ? values[i] : 0.0f));
    return Tensor::of(memory.data(), {rows, columns});
  }

  std::vector<float> fused(const Context& context) const {
    std::vector<float> out(c.T * c.D + 1, -1.0f);
    std::vector<BFloat16> memory;
    expert_mlp_forward(context, experts, routing, typed(x, c.T, c.D, memory),
                       Tensor::of(out.data(), {c.T, c.D}));
    EXPECT_EQ(context.scratch.used(), 0u);
    return out;
  }

  /// rows of x through gate, up and down.
  std::vector<float> mlp(const Context& context, const std::vector<float>& rows, const Weight& up,
                         const Weight& down, Groups groups) const {
    const int64_t R = static_cast<int64_t>(rows.size()) / c.D, F = down.k;
    std::vector<float> gate_up(R * 2 * F + 1), act(R * F + 1), out(R * c.D);
    std::vector<BFloat16> x_memory, act_memory;
    const Tensor act_RF = typed(act, R, F, act_memory);
    linear_forward(context, typed(rows, R, c.D, x_memory), single(up), groups, {},
                   Tensor::of(gate_up.data(), {R, 2 * F}));
    swiglu_forward(context, Tensor::of(gate_up.data(), {R, 2 * F}), act_RF);
    linear_forward(context, act_RF, single(down), groups, {}, Tensor::of(out.data(), {R, c.D}),
                   experts.down_sum);
    return out;
  }

  std::vector<float> single_ops(const Context& context) const {
    std::vector<float> out(c.T * c.D + 1, -1.0f), rows;
    const Tensor out_TD = Tensor::of(out.data(), {c.T, c.D});
    const std::vector<float> tokens(x.begin(), x.end() - 1);
    if (c.E > 0) {
      for (int64_t r = 0; r < c.T * c.K; ++r)
        rows.insert(rows.end(), &x[token_of[r] * c.D], &x[token_of[r] * c.D] + c.D);
      const auto y = mlp(context, rows, experts.gate_up_E2FD, experts.down_EDF, offsets);
      combine_forward(context, Tensor::of(y.data(), {c.T * c.K, c.D}), routing.row_of_TK,
                      routing.weights_TK, c.G, /*accumulate=*/false, out_TD);
    }
    if (c.S == 0) return out;
    const auto y = mlp(context, tokens, experts.shared_gate_up_2SD, experts.shared_down_DS, {});
    if (c.E == 0) std::copy(y.begin(), y.end(), out.begin());
    if (c.E > 0 && !c.shared_gate) moge::add(context, Tensor::of(y.data(), {c.T, c.D}), out_TD);
    if (c.E > 0 && c.shared_gate)
      sigmoid_gate_forward(context, routing.shared_gate_T, Tensor::of(y.data(), {c.T, c.D}),
                           out_TD);
    return out;
  }

  const Case& c;
  DType dtype;
  std::vector<float> x, weights, gate;
  std::vector<int32_t> ids, offsets, row_of, token_of;
  ExpertRouting routing;
  ExpertWeights experts;
  std::vector<std::unique_ptr<Packed>> packed;
};

class ExpertMlpTest : public ::testing::TestWithParam<const kernels::Table*> {};
INSTANTIATE_TEST_SUITE_P(Isa, ExpertMlpTest, ::testing::ValuesIn(kernels::available_tables()),
                         [](const auto& info) { return std::string(info.param->isa); });

TEST_P(ExpertMlpTest, EqualsTheSingleOps) {
  const std::pair<WeightFormat, DType> kFormats[] = {{WeightFormat::kW8A8, DType::kF32},
                                                     {WeightFormat::kW4A8, DType::kF32},
                                                     {WeightFormat::kPacked, DType::kF32},
                                                     {WeightFormat::kPacked, DType::kBF16}};
  for (const auto& [format, dtype] : kFormats)
    for (const Case& c : kCases)
      for (const int threads : {1, 2, 3}) {
        Machine m(*GetParam(), threads);
        const Layer layer(m.context, c, format, dtype);
        Machine fresh(*GetParam(), threads);
        const auto got = layer.fused(fresh.context);
        EXPECT_LE(fresh.arena.high_water(),
                  expert_mlp_scratch_bytes(m.context, {c.T, c.K, c.E, c.D, c.F, c.S}))
            << c.name;
        ASSERT_EQ(got, layer.single_ops(m.context)) << c.name << " " << threads;
      }
}

TEST(ExpertMlpErrors, WeightsAndRouting) {
  Machine m(*kernels::available_tables().front(), 1);
  const Case c = {"", 2, 32, 4, 2, 2, 16, 16};
  Layer layer(m.context, c, WeightFormat::kW8A8, DType::kF32);
  const auto message = [&] { return message_of([&] { layer.fused(m.context); }); };
  const ExpertWeights good = layer.experts;
  layer.experts.gate_up_E2FD.paired = false;
  EXPECT_EQ(message(), "[expert_mlp] routed gate and up are not packed as pairs");
  layer.experts = good, layer.experts.down_EDF.format = WeightFormat::kW4A8;
  EXPECT_EQ(message(), "[expert_mlp] routed down projection is not packed like gate and up");
  layer.experts = good, layer.experts.shared_down_DS.n = 30;
  EXPECT_EQ(
      message(),
      "[expert_mlp] shared gate and up are 1 of 32 x 32, down is 1 of 30 x 16, want widths of "
      "32");
  layer.experts = good, layer.experts.shared_gate_up_2SD.format = WeightFormat::kW4A8;
  layer.experts.shared_down_DS.format = WeightFormat::kW4A8;
  EXPECT_EQ(message(), "[expert_mlp] routed and shared experts are in different formats");
  Layer floats(m.context, c, WeightFormat::kPacked, DType::kBF16);
  floats.dtype = DType::kF32;
  EXPECT_EQ(message_of([&] { floats.fused(m.context); }),
            "[expert_mlp] x is float32 [2, 32], want the type of all weights");
  layer.experts = {};
  EXPECT_EQ(message(), "[expert_mlp] there are no experts");
  layer.experts = good, layer.routing.num_groups = 3;
  EXPECT_EQ(message(), "[expert_mlp] 2 slots do not divide into 3 groups");
}

}  // namespace
}  // namespace moge
