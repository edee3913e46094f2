// Parity with reference implementations: states, routing, losses and gradients of tiny models of
// every family. Limits: see numerics.md; measured against float64 they are an order of magnitude
// above the reference's own rounding.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "moge/model/test_golden.h"

namespace moge::testing {
namespace {
constexpr double kLogitsAbsolute = 5e-5, kStates = 1e-5, kLoss = 1e-6, kGradient = 5e-5;

using Arrays = std::map<std::string, NamedArray>;

std::vector<std::vector<int32_t>> sequences_of(const std::filesystem::path& folder) {
  return read_json(folder / "inputs.json").at("sequences").get<std::vector<std::vector<int32_t>>>();
}

Arrays run(const std::filesystem::path& folder, const kernels::Table& table,
           const RecordOptions& options) {
  GoldenModel model(folder);
  ThreadPool threads(2);
  Arrays arrays;
  for (NamedArray& array : record_sequences(threads, table, model.config(), model.params,
                                            sequences_of(folder), options))
    arrays[array.name] = std::move(array);
  return arrays;
}

/// Chosen experts by id within each token, with their weights.
std::vector<std::pair<int32_t, float>> sorted_choices(const std::vector<int32_t>& ids,
                                                      const std::vector<float>& weights,
                                                      int64_t K) {
  std::vector<std::pair<int32_t, float>> list;
  for (size_t i = 0; i < ids.size(); ++i) list.emplace_back(ids[i], weights[i]);
  for (auto it = list.begin(); it != list.end(); it += K) std::sort(it, it + K);
  return list;
}

void compare_choices(const Checkpoint& golden, const Arrays& got, const std::string& ids_name) {
  const StoredTensor* stored = golden.find(ids_name);
  std::vector<int32_t> ids(static_cast<size_t>(stored->entry.numel()));
  std::memcpy(ids.data(), stored->data, ids.size() * sizeof(int32_t));
  std::string weights_name = ids_name;
  weights_name.replace(weights_name.find("router_ids"), 10, "router_weights");
  const int64_t K = stored->entry.shape.at(1);
  const auto want = sorted_choices(ids, floats_of(golden, weights_name), K);
  const auto have = sorted_choices(got.at(ids_name).ints, got.at(weights_name).floats, K);
  ASSERT_EQ(have.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_EQ(have[i].first, want[i].first) << ids_name << " token " << i / K;
    EXPECT_NEAR(have[i].second, want[i].second, 2 * kStates) << weights_name;
  }
}

void compare(const Checkpoint& golden, const Arrays& got, const std::string& name) {
  if (name.find("router_ids") != std::string::npos) return compare_choices(golden, got, name);
  if (name.find("router_weights") != std::string::npos) return;  // together with the ids
  ASSERT_TRUE(got.count(name)) << name;
  const Difference d = difference(got.at(name).floats, floats_of(golden, name));
  EXPECT_EQ(got.at(name).shape, golden.find(name)->entry.shape) << name;
  if (name.find(".logits") != std::string::npos)
    EXPECT_LE(d.worst, kLogitsAbsolute) << name;
  else if (name.find("loss") != std::string::npos)
    EXPECT_LE(d.relative(), kLoss) << name;
  else
    EXPECT_LE(d.relative(), name.starts_with("grad.") ? kGradient : kStates) << name;
}

class Golden : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(Golden, EverythingMatches) {
  const Checkpoint golden = Checkpoint::open_file(GetParam() / "golden.safetensors");
  for (const kernels::Table* table : tables_under_test()) {
    SCOPED_TRACE(table->isa);
    const Arrays got = run(GetParam(), *table, {.gradients = true});
    for (const auto& [name, stored] : golden.tensors()) compare(golden, got, name);
  }
}

TEST_P(Golden, RecomputeGivesTheSameBits) {
  const kernels::Table& table = *tables_under_test().front();
  const Arrays all = run(GetParam(), table, {.gradients = true, .aux_loss_coeff = 0.01});
  for (Recompute recompute : {Recompute::kSelective, Recompute::kFull}) {
    const Arrays again =
        run(GetParam(), table, {.gradients = true, .aux_loss_coeff = 0.01, .recompute = recompute});
    ASSERT_EQ(again.size(), all.size());
    for (const auto& [name, array] : all) EXPECT_EQ(again.at(name).floats, array.floats) << name;
  }
}

TEST_P(Golden, OldKeysDescribeTheSameModel) {
  const auto old_keys = GetParam() / "config_v4.json";
  if (!std::filesystem::exists(old_keys)) GTEST_SKIP() << "no config_v4.json here";
  EXPECT_EQ(parse_model_config(read_json(old_keys), "v4"),
            parse_model_config(read_json(GetParam() / "config.json"), "v5"));
}

std::string name_of_case(const ::testing::TestParamInfo<std::filesystem::path>& info) {
  return case_name(info.param);
}
INSTANTIATE_TEST_SUITE_P(All, Golden, ::testing::ValuesIn(golden_folders("golden.safetensors")),
                         name_of_case);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Golden);

class GoldenAux : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(GoldenAux, BalancingLossAndItsGradientsMatch) {
  const Checkpoint golden = Checkpoint::open_file(GetParam() / "golden_aux.safetensors");
  for (const kernels::Table* table : tables_under_test()) {
    SCOPED_TRACE(table->isa);
    const Arrays got = run(GetParam(), *table, {.gradients = true, .aux_loss_coeff = 0.01});
    for (const auto& [name, stored] : golden.tensors()) compare(golden, got, name);
  }
}
INSTANTIATE_TEST_SUITE_P(All, GoldenAux,
                         ::testing::ValuesIn(golden_folders("golden_aux.safetensors")),
                         name_of_case);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoldenAux);

class WrongRouters : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(WrongRouters, AreFarFromOurs) {
  const Checkpoint right = Checkpoint::open_file(GetParam() / "golden.safetensors");
  const Checkpoint wrong = Checkpoint::open_file(GetParam() / "wrong_order.safetensors");
  const Arrays got = run(GetParam(), *tables_under_test().front(), {});
  const auto& logits = got.at("seq1.logits").floats;
  EXPECT_LE(difference(logits, floats_of(right, "seq1.logits")).worst, kLogitsAbsolute);
  for (const auto& [name, stored] : wrong.tensors())
    EXPECT_GT(difference(logits, floats_of(wrong, name)).worst, 0.01) << name;
  EXPECT_GE(wrong.tensors().size(), 6u);
}
INSTANTIATE_TEST_SUITE_P(All, WrongRouters,
                         ::testing::ValuesIn(golden_folders("wrong_order.safetensors")),
                         name_of_case);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(WrongRouters);

TEST(SharedGoldens, ArePresent) {
  if (!std::filesystem::is_directory(shared_goldens()))
    GTEST_SKIP() << shared_goldens() << " is absent: only tests/goldens were compared";
  EXPECT_GE(golden_folders("golden.safetensors").size(), 14u);
}

TEST(SharedGoldens, ShardsHoldTheSameWeights) {
  const auto folder = shared_goldens() / "qwen3_moe_nonorm";
  if (!std::filesystem::is_directory(folder / "sharded")) GTEST_SKIP() << folder << " is absent";
  const GoldenModel whole(folder), sharded(folder / "sharded");
  EXPECT_EQ(std::memcmp(whole.memory.data(), sharded.memory.data(), whole.memory.size()), 0);
}

}  // namespace
}  // namespace moge::testing
