// Serving: greedy texts of the references from packed weights and a paged cache, and the same
// logits whatever way a prompt was cut.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "moge/model/test_golden.h"

namespace moge::testing {
namespace {
constexpr int64_t kPageTokens = 16;

/// One sequence and its paged cache, pages in scattered order.
class Session {
 public:
  Session(const std::filesystem::path& folder, const kernels::Table& table, DType dtype)
      : scratch_(size_t{8} << 20), context_{threads_, table, scratch_} {
    loaded_ = load_model(context_, find_model(folder.string()), {.dtype = dtype});
    const ModelConfig& c = config();
    const int64_t pages = (c.max_position + kPageTokens - 1) / kPageTokens;
    for (int64_t l = 0; l < c.num_layers(); ++l) {
      caches_.push_back({.dtype = dtype,
                         .page_tokens = kPageTokens,
                         .kv_heads = c.num_kv_heads,
                         .head_dim = c.head_dim});
      memory_.emplace_back(static_cast<size_t>(pages * caches_.back().page_bytes()));
      caches_.back().data = memory_.back().data();
    }
    for (int64_t p = 0; p < pages; ++p)
      table_.push_back(static_cast<int32_t>(p * 7 % pages));  // 7 divides no number of pages here
    const size_t bytes_forward = static_cast<size_t>(forward_bytes(loaded_.model, c.max_position) +
                                                     logits_bytes(c, 1, dtype));
    arena_ = std::make_unique<Arena>(bytes_forward);
  }
  const ModelConfig& config() const { return loaded_.model.config; }

  /// Logits after the last of `ids`, which follow what was fed before.
  std::vector<float> feed(std::vector<int32_t> ids) {
    const auto n = static_cast<int64_t>(ids.size());
    std::vector<int32_t> positions(ids.size());
    std::iota(positions.begin(), positions.end(), static_cast<int32_t>(length_));
    const SequenceSlice slice{
        .first_row = 0, .num_tokens = n, .first_position = length_, .page_table = table_};
    const Batch batch{.ids_T = Tensor::of(ids.data(), {n}),
                      .positions_T = Tensor::of(positions.data(), {n}),
                      .slices = {&slice, 1},
                      .caches = caches_};
    ArenaScope scope(*arena_);
    const Tensor x_TD = model_forward(context_, loaded_.model, batch, *arena_);
    std::vector<float> logits(static_cast<size_t>(config().vocab_size));
    int32_t last = static_cast<int32_t>(n - 1);
    logits_for_rows(context_, loaded_.model, x_TD, Tensor::of(&last, {1}), *arena_,
                    Tensor::of(logits.data(), {1, config().vocab_size}));
    length_ += n;
    return logits;
  }

 private:
  ThreadPool threads_{1};
  Arena scratch_;
  Context context_;
  LoadedModel loaded_;
  std::vector<Buffer> memory_;
  std::vector<PagedKv> caches_;
  std::vector<int32_t> table_;
  std::unique_ptr<Arena> arena_;
  int64_t length_ = 0;
};

int32_t best_of(const std::vector<float>& logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

class GoldenGreedy : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(GoldenGreedy, TokensAndLogitsMatch) {
  const auto json = read_json(GetParam() / "greedy.json");
  const auto tokens = json.at("tokens").get<std::vector<int32_t>>();
  const auto top = json.at("top_logit").get<std::vector<double>>();
  for (const kernels::Table* table : tables_under_test()) {
    SCOPED_TRACE(table->isa);
    Session session(GetParam(), *table, DType::kF32);
    auto logits = session.feed(json.at("prompt").get<std::vector<int32_t>>());
    for (size_t i = 0; i < tokens.size(); ++i) {
      ASSERT_EQ(best_of(logits), tokens[i]) << "token " << i;
      EXPECT_NEAR(logits[tokens[i]], top[i], 5e-5);
      logits = session.feed({tokens[i]});
    }
  }
}

TEST_P(GoldenGreedy, CuttingThePromptKeepsTheBits) {
  const auto prompt =
      read_json(GetParam() / "greedy.json").at("prompt").get<std::vector<int32_t>>();
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    const kernels::Table& table = *tables_under_test().front();
    const auto whole = Session(GetParam(), table, dtype).feed(prompt);
    for (size_t cut : {size_t{1}, size_t{4}, prompt.size() - 1}) {
      Session session(GetParam(), table, dtype);
      session.feed({prompt.begin(), prompt.begin() + static_cast<std::ptrdiff_t>(cut)});
      EXPECT_EQ(session.feed({prompt.begin() + static_cast<std::ptrdiff_t>(cut), prompt.end()}),
                whole)
          << name_of(dtype) << " cut at " << cut;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(All, GoldenGreedy, ::testing::ValuesIn(golden_folders("greedy.json")),
                         [](const ::testing::TestParamInfo<std::filesystem::path>& info) {
                           return case_name(info.param);
                         });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoldenGreedy);

}  // namespace
}  // namespace moge::testing
