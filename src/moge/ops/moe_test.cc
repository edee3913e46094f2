// What the case table cannot say: adversarial routers, the combine's tree, batch invariance,
// errors. T tokens, E experts, G groups, K chosen per token, D model dim.
#include "moge/ops/moe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <vector>

#include "moge/core/rng.h"
#include "moge/core/test_errors.h"
#include "moge/kernels/ref/permute.h"
#include "moge/ops/elementwise.h"

namespace moge {
namespace {

/// A machine with every table in turn.
class Moe : public ::testing::TestWithParam<const kernels::Table*> {
 protected:
  ThreadPool threads_{2};
  Arena scratch_{size_t{16} << 20};
  Context context_{threads_, *GetParam(), scratch_};
};

INSTANTIATE_TEST_SUITE_P(Isa, Moe, ::testing::ValuesIn(kernels::available_tables()),
                         [](const auto& info) { return std::string(info.param->isa); });

std::vector<float> draws(int64_t n, std::string_view name, float scale = 1.0f) {
  std::vector<float> x(static_cast<size_t>(n));
  const Rng rng(11, name);
  for (int64_t i = 0; i < n; ++i) x[i] = scale * rng.normal_at(static_cast<uint64_t>(i));
  return x;
}

struct Routed {
  std::vector<float> probs, weights;
  std::vector<int32_t> ids;
};

Routed route(const Context& context, std::vector<float> logits, int64_t T, int64_t E,
             RouteOptions options) {
  const int64_t K = options.top_k;
  Routed r{std::vector<float>(logits.size()), std::vector<float>(static_cast<size_t>(T * K)),
           std::vector<int32_t>(static_cast<size_t>(T * K), -1)};
  route_forward(context, Tensor::of(logits.data(), {T, E}), {}, options,
                Tensor::of(r.probs.data(), {T, E}), Tensor::of(r.ids.data(), {T, K}),
                Tensor::of(r.weights.data(), {T, K}));
  return r;
}

/// Every group gives exactly K/G different experts of its own.
void expect_balanced(const Routed& r, int64_t T, int64_t E, int64_t G, int64_t K) {
  for (int64_t t = 0; t < T; ++t)
    for (int64_t g = 0; g < G; ++g) {
      std::set<int32_t> chosen;
      for (int64_t k = g * K / G; k < (g + 1) * K / G; ++k) {
        const int32_t id = r.ids[t * K + k];
        EXPECT_TRUE(id >= g * E / G && id < (g + 1) * E / G) << "token " << t << " slot " << k;
        chosen.insert(id);
      }
      EXPECT_EQ(static_cast<int64_t>(chosen.size()), K / G) << "token " << t << " group " << g;
    }
}

TEST_P(Moe, AdversarialLogitsStayBalanced) {
  const float inf = INFINITY, nan = std::nanf("");
  constexpr int64_t E = 12, G = 3, K = 6;
  const std::vector<std::vector<float>> patterns = {{nan},
                                                    {inf},
                                                    {-inf},
                                                    {0.0f},
                                                    {3e38f, -3e38f},
                                                    {1e-45f, 0.0f},
                                                    {nan, 1.0f},
                                                    {inf, 1.0f},
                                                    {-inf, 2.0f, nan},
                                                    {1.0f, 1.0f, 2.0f},
                                                    {inf, -inf},
                                                    {-0.0f, 0.0f}};
  std::vector<float> logits;
  for (const auto& pattern : patterns)
    for (int64_t e = 0; e < E; ++e) logits.push_back(pattern[e % pattern.size()]);
  const int64_t T = static_cast<int64_t>(patterns.size());
  for (bool renormalize : {false, true}) {
    const Routed r = route(context_, logits, T, E, {G, K, renormalize});
    expect_balanced(r, T, E, G, K);
  }
}

TEST_P(Moe, RandomAndExtremeRoutersStayBalanced) {
  for (float scale : {1e-3f, 1.0f, 50.0f, 1e6f, 1e38f}) {
    constexpr int64_t T = 64, E = 64, G = 8, K = 8;
    expect_balanced(route(context_, draws(T * E, "logits", scale), T, E, {G, K}), T, E, G, K);
  }
}

TEST_P(Moe, TiesGoToTheLowestIndex) {
  const Routed r =
      route(context_, std::vector<float>(8, 1.5f), 1, 8, {.num_groups = 2, .top_k = 4});
  EXPECT_EQ(r.ids, (std::vector<int32_t>{0, 1, 4, 5}));
  for (float w : r.weights) EXPECT_EQ(w, 0.125f);
}

TEST_P(Moe, ScaleIsAppliedAfterSelection) {
  std::vector<float> logits = {2, 1, 0, 1}, scale = {0.5f, 100, 1, 1}, probs(4), weights(2);
  std::vector<int32_t> ids(2);
  route_forward(context_, Tensor::of(logits.data(), {1, 4}), Tensor::of(scale.data(), {4}),
                {.num_groups = 2, .top_k = 2}, Tensor::of(probs.data(), {1, 4}),
                Tensor::of(ids.data(), {1, 2}), Tensor::of(weights.data(), {1, 2}));
  EXPECT_EQ(ids, (std::vector<int32_t>{0, 3}));
  EXPECT_EQ(weights[0], probs[0] * 0.5f);
}

/// With one slot a group no product is fused: the kernel and the fp32 reference agree in every bit.
TEST_P(Moe, CombineFollowsTheTree) {
  constexpr int64_t T = 3, D = 37;
  for (int64_t K : {1, 2, 3, 5, 7, 8}) {
    const std::vector<float> rows = draws(T * K * D, "rows"), weights = draws(T * K, "weights");
    std::vector<int32_t> row_of(static_cast<size_t>(T * K));
    for (int64_t i = 0; i < T * K; ++i) row_of[i] = static_cast<int32_t>(T * K - 1 - i);
    std::vector<float> got(T * D), want(T * D, 0.0f);
    combine_forward(context_, Tensor::of(rows.data(), {T * K, D}),
                    Tensor::of(row_of.data(), {T, K}), Tensor::of(weights.data(), {T, K}), K,
                    /*accumulate=*/false, Tensor::of(got.data(), {T, D}));
    ref::combine_forward(rows.data(), row_of.data(), weights.data(), T, D, K, K, want.data());
    EXPECT_EQ(got, want) << K << " groups";
  }
}

/// Two ranks with half of the groups each compute subtrees of one rank's tree.
TEST_P(Moe, HalvesOfTheGroupsAddUpToTheWhole) {
  constexpr int64_t T = 4, K = 16, G = 8, D = 40, half = K / 2;
  const std::vector<float> rows = draws(T * K * D, "rows"), weights = draws(T * K, "weights");
  std::vector<float> whole(T * D), parts(T * D), part(T * D);
  const auto sum = [&](int64_t first, int64_t slots, int64_t groups, std::vector<float>& y) {
    std::vector<int32_t> row_of;
    std::vector<float> slot_weights;
    for (int64_t t = 0; t < T; ++t)
      for (int64_t k = first; k < first + slots; ++k) {
        row_of.push_back(static_cast<int32_t>(t * K + k));
        slot_weights.push_back(weights[t * K + k]);
      }
    // The op wants T * slots rows; its row indices reach into all of them.
    std::vector<float> mine(static_cast<size_t>(T * slots * D));
    for (int64_t i = 0; i < T * slots; ++i) {
      std::copy_n(rows.data() + row_of[i] * D, D, mine.data() + i * D);
      row_of[i] = static_cast<int32_t>(i);
    }
    combine_forward(
        context_, Tensor::of(mine.data(), {T * slots, D}), Tensor::of(row_of.data(), {T, slots}),
        Tensor::of(slot_weights.data(), {T, slots}), groups, false, Tensor::of(y.data(), {T, D}));
  };
  sum(0, K, G, whole);
  sum(0, half, G / 2, parts);
  sum(half, half, G / 2, part);
  for (size_t i = 0; i < parts.size(); ++i) parts[i] += part[i];
  EXPECT_EQ(parts, whole);
}

/// A token's routing has the same bits alone and among others.
TEST_P(Moe, RoutingDoesNotDependOnTheBatch) {
  constexpr int64_t T = 41, E = 24, K = 6;
  const std::vector<float> logits = draws(T * E, "logits", 3.0f);
  const Routed all = route(context_, logits, T, E, {.num_groups = 3, .top_k = K});
  for (int64_t t = 0; t < T; ++t) {
    const Routed one = route(context_, {logits.begin() + t * E, logits.begin() + (t + 1) * E}, 1, E,
                             {.num_groups = 3, .top_k = K});
    EXPECT_EQ(std::memcmp(one.probs.data(), all.probs.data() + t * E, E * 4), 0);
    EXPECT_EQ(std::memcmp(one.ids.data(), all.ids.data() + t * K, K * 4), 0);
    EXPECT_EQ(std::memcmp(one.weights.data(), all.weights.data() + t * K, K * 4), 0);
  }
}

TEST_P(Moe, CombineDoesNotDependOnTheBatch) {
  constexpr int64_t T = 9, K = 4, D = 53;
  const std::vector<float> rows = draws(T * K * D, "rows"), weights = draws(T * K, "weights");
  std::vector<int32_t> row_of(T * K);
  for (int32_t i = 0; i < T * K; ++i) row_of[i] = i;
  std::vector<float> all(T * D), one(D);
  const auto combine = [&](int64_t t, int64_t tokens, std::vector<float>& y) {
    combine_forward(context_, Tensor::of(rows.data() + t * K * D, {tokens * K, D}),
                    Tensor::of(row_of.data(), {tokens, K}),
                    Tensor::of(weights.data() + t * K, {tokens, K}), 2, false,
                    Tensor::of(y.data(), {tokens, D}));
  };
  combine(0, T, all);
  for (int64_t t = 0; t < T; ++t) {
    combine(t, 1, one);
    EXPECT_EQ(std::memcmp(one.data(), all.data() + t * D, D * 4), 0);
  }
}

TEST_P(Moe, NormAndSwigluDoNotDependOnTheBatch) {
  constexpr int64_t T = 33, D = 46;
  const std::vector<float> x = draws(T * D, "x"), w = draws(D, "w");
  std::vector<float> norm(T * D), act(T * D / 2), one_norm(D), one_act(D / 2);
  const auto run = [&](int64_t t, int64_t tokens, std::vector<float>& y, std::vector<float>& a) {
    const Tensor rows = Tensor::of(x.data() + t * D, {tokens, D});
    rmsnorm_forward(context_, rows, Tensor::of(w.data(), {D}), 1e-6f,
                    Tensor::of(y.data(), {tokens, D}), {});
    swiglu_forward(context_, rows, Tensor::of(a.data(), {tokens, D / 2}));
  };
  run(0, T, norm, act);
  for (int64_t t = 0; t < T; ++t) {
    run(t, 1, one_norm, one_act);
    EXPECT_EQ(std::memcmp(one_norm.data(), norm.data() + t * D, D * 4), 0);
    EXPECT_EQ(std::memcmp(one_act.data(), act.data() + t * D / 2, D / 2 * 4), 0);
  }
}

TEST(MoeErrors, NameTheNumbers) {
  ThreadPool threads(1);
  Arena scratch(1 << 20);
  const Context context{threads, kernels::choose_table("scalar"), scratch};
  const auto routed = [&](int64_t E, RouteOptions options) {
    return message_of([&] { route(context, std::vector<float>(E, 0.0f), 1, E, options); });
  };
  EXPECT_EQ(routed(10, {.num_groups = 4, .top_k = 4}),
            "[route] 10 experts do not divide into 4 groups");
  EXPECT_EQ(routed(8, {.num_groups = 4, .top_k = 6}),
            "[route] top 6 of 8 experts cannot take the same number from each of 4 groups");
  EXPECT_EQ(routed(4, {.num_groups = 1, .top_k = 5}),
            "[route] top 5 of 4 experts cannot take the same number from each of 1 groups");
  EXPECT_EQ(routed(2000, {.num_groups = 1, .top_k = 1}), "[route] 2000 experts, want 1 to 1024");
  std::vector<int32_t> ids = {0, 3}, offsets(4), row_of(2), token_of(2);
  EXPECT_EQ(message_of([&] {
              sort_by_expert(context, Tensor::of(ids.data(), {2, 1}), 3,
                             Tensor::of(offsets.data(), {4}), Tensor::of(row_of.data(), {2, 1}),
                             Tensor::of(token_of.data(), {2}));
            }),
            "[sort] expert 3 of token 1 is outside [0, 3)");
  std::vector<float> x(12), y(12);
  EXPECT_EQ(message_of([&] {
              embedding_forward(context, Tensor::of(ids.data(), {2}), Tensor::of(x.data(), {3, 4}),
                                Tensor::of(y.data(), {2, 4}));
            }),
            "[embedding] token id 3 at position 1 is outside the vocabulary of 3");
  EXPECT_EQ(message_of([&] {
              rope_forward(context, Tensor::of(x.data(), {2, 1, 4}), Tensor::of(ids.data(), {2}),
                           {Tensor::of(y.data(), {3, 2}), Tensor::of(y.data(), {3, 2})});
            }),
            "[rope] position 3 of row 1 is outside the 3 positions of the table");
  EXPECT_EQ(message_of([&] {
              add(context, Tensor::of(x.data(), {3, 4}), Tensor::of(y.data(), {4, 3}));
            }),
            "[add] float32 [3, 4] and float32 [4, 3] differ in shape");
}

}  // namespace
}  // namespace moge
