#include "moge/data/packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "moge/core/error.h"
#include "moge/core/test_errors.h"

namespace moge::data {
namespace {

/// Document d holds the tokens 100 d, 100 d + 1, ...
std::shared_ptr<const Documents> numbered(const std::vector<int>& lengths) {
  auto documents = std::make_shared<MemoryDocuments>("numbered");
  for (size_t d = 0; d < lengths.size(); ++d) {
    std::vector<int32_t> tokens(static_cast<size_t>(lengths[d]));
    std::iota(tokens.begin(), tokens.end(), static_cast<int32_t>(100 * d));
    documents->append(tokens);
    documents->end_document();
  }
  return documents;
}

struct Sample {
  std::vector<int32_t> tokens, targets, positions, lengths;
  std::vector<float> mask;
};

Sample get(PackedSamples& samples, int64_t number, size_t T) {
  Sample s{.tokens = std::vector<int32_t>(T),
           .targets = std::vector<int32_t>(T),
           .positions = std::vector<int32_t>(T),
           .lengths = {},
           .mask = std::vector<float>(T)};
  samples.get(number, {s.tokens, s.targets, s.positions, s.mask}, s.lengths);
  return s;
}

PackedSamples make(std::shared_ptr<const Documents> documents, const PackingOptions& options) {
  return PackedSamples(DocumentRange(std::move(documents)), options, 0, "train");
}

TEST(DocumentRange, CutsDocumentsAtItsEnds) {
  const auto documents = numbered({3, 0, 4, 2});
  const DocumentRange range(documents, 1, 8);
  EXPECT_EQ(range.num_tokens(), 7);
  ASSERT_EQ(range.size(), 4);
  EXPECT_EQ(range.length(0), 2);
  EXPECT_EQ(range.length(1), 0);
  EXPECT_EQ(range.length(2), 4);
  EXPECT_EQ(range.length(3), 1);
  std::vector<int32_t> out(2);
  range.read(0, 0, out);
  EXPECT_EQ(out, (std::vector<int32_t>{1, 2}));
  const DocumentRange inside(documents, 4, 6);
  ASSERT_EQ(inside.size(), 1);
  EXPECT_EQ(inside.length(0), 2);
  inside.read(0, 0, out);
  EXPECT_EQ(out, (std::vector<int32_t>{201, 202}));
  EXPECT_THROW(DocumentRange(documents, 0, 10), Error);
  EXPECT_THROW(DocumentRange(documents, 3, 2), Error);
}

// A row of the tokens of one epoch is cut into samples; each token but the first is a target once.
TEST(Packing, EachEpochShowsEveryTokenOnce) {
  constexpr size_t kT = 5;
  const auto documents = numbered({7, 1, 0, 12, 3, 2, 9, 7});  // 41 tokens: 8 samples
  PackedSamples samples = make(documents, {.seq_length = kT, .seed = 3});
  ASSERT_EQ(samples.samples_per_epoch(), 8);
  std::set<std::vector<int32_t>> orders;
  for (int64_t epoch = 0; epoch < 4; ++epoch) {
    std::multiset<int32_t> inputs;
    std::vector<int32_t> firsts;
    for (int64_t i = 0; i < 8; ++i) {
      const Sample s = get(samples, epoch * 8 + i, kT);
      inputs.insert(s.tokens.begin(), s.tokens.end());
      firsts.push_back(s.tokens[0]);
      EXPECT_TRUE(std::equal(s.tokens.begin() + 1, s.tokens.end(), s.targets.begin()));
      EXPECT_EQ(s.lengths, std::vector<int32_t>{kT});
      EXPECT_EQ(s.positions, (std::vector<int32_t>{0, 1, 2, 3, 4}));
      EXPECT_EQ(s.mask, std::vector<float>(kT, 1.0f));
    }
    EXPECT_EQ(inputs.size(), 40u);
    EXPECT_EQ(std::set<int32_t>(inputs.begin(), inputs.end()).size(), 40u);
    orders.insert(firsts);
  }
  EXPECT_EQ(orders.size(), 4u);
}

TEST(Packing, TokensFollowEachOtherInsideDocuments) {
  constexpr size_t kT = 8;
  const auto documents = numbered({20, 30, 10, 40});
  PackedSamples samples = make(documents, {.seq_length = kT, .reset_attention_mask = true});
  for (int64_t number = 0; number < 50; ++number) {
    const Sample s = get(samples, number, kT);
    EXPECT_EQ(std::accumulate(s.lengths.begin(), s.lengths.end(), 0), static_cast<int>(kT));
    size_t t = 0;
    for (int32_t length : s.lengths) {
      for (int32_t i = 0; i < length; ++i, ++t)
        EXPECT_EQ(s.tokens[t], s.tokens[t - static_cast<size_t>(i)] + i);
      if (t < kT) {
        EXPECT_EQ(s.tokens[t] % 100, 0);  // a document begins
      }
    }
  }
}

TEST(Packing, DocumentBordersResetPositionsAttentionAndLoss) {
  constexpr size_t kT = 16;
  const auto documents = numbered({5, 5, 5, 5, 5, 5, 5});
  PackedSamples samples = make(documents, {.seq_length = kT,
                                           .reset_position_ids = true,
                                           .reset_attention_mask = true,
                                           .eod_mask_loss = true});
  for (int64_t number = 0; number < 8; ++number) {
    const Sample s = get(samples, number, kT);
    const int phase = s.tokens[0] % 100;  // the row begins inside a document
    std::vector<int32_t> positions(kT), lengths;
    std::vector<float> mask(kT);
    for (size_t t = 0; t < kT; ++t) {
      const bool first = t == 0 || s.tokens[t] % 100 == 0;
      positions[t] = first ? 0 : positions[t - 1] + 1;
      if (first) lengths.push_back(0);
      ++lengths.back();
      mask[t] = s.tokens[t] % 100 == 4 ? 0.0f : 1.0f;  // its target begins another document
      if (mask[t] == 0) {
        EXPECT_EQ(s.targets[t] % 100, 0);
      }
    }
    EXPECT_EQ(s.positions, positions) << phase;
    EXPECT_EQ(s.lengths, lengths) << phase;
    EXPECT_EQ(s.mask, mask) << phase;
  }
}

TEST(Packing, EndOfDocumentTokensGiveNoLossWhenAsked) {
  const auto documents = numbered({40});
  PackedSamples samples = make(documents, {.seq_length = 10, .eod_mask_loss = true, .eod_id = 7});
  for (int64_t number = 0; number < 3; ++number) {
    const Sample s = get(samples, number, 10);
    for (size_t t = 0; t < 10; ++t) EXPECT_EQ(s.mask[t], s.tokens[t] == 7 ? 0.0f : 1.0f);
  }
}

TEST(Packing, OrderIsAFunctionOfSeedAndSampleNumber) {
  const auto documents = numbered({17, 33, 25, 60, 4, 80});
  const PackingOptions options{.seq_length = 6, .seed = 11};
  PackedSamples forward = make(documents, options), backward = make(documents, options);
  std::map<int64_t, std::vector<int32_t>> seen;
  for (int64_t number = 0; number < 150; ++number) seen[number] = get(forward, number, 6).tokens;
  for (int64_t number = 149; number >= 0; --number)
    EXPECT_EQ(get(backward, number, 6).tokens, seen[number]);
  PackedSamples other = make(documents, {.seq_length = 6, .seed = 12});
  int same = 0;
  for (int64_t number = 0; number < 150; ++number)
    same += get(other, number, 6).tokens == seen[number];
  EXPECT_LT(same, 30);
}

TEST(Packing, WantedRowsOnly) {
  const auto documents = numbered({30});
  PackedSamples samples = make(documents, {.seq_length = 4, .reset_position_ids = true});
  std::vector<int32_t> tokens(4), targets(4), lengths, three(3);
  samples.get(0, {tokens, targets, {}, {}}, lengths);
  EXPECT_EQ(targets[0], tokens[0] + 1);
  EXPECT_EQ(message_of([&] {
              samples.get(0, {tokens, three, {}, {}}, lengths);
            }),
            "[data] a sample's rows have 4, 3, 0 and 0 elements, want 4");
  EXPECT_EQ(message_of([&] {
              samples.get(-1, {tokens, targets, {}, {}}, lengths);
            }),
            "[data] sample number -1");
}

TEST(Packing, SequenceLengthOne) {
  const auto documents = numbered({3, 2});
  PackedSamples samples = make(documents, {.seq_length = 1, .reset_attention_mask = true});
  EXPECT_EQ(samples.samples_per_epoch(), 4);
  for (int64_t number = 0; number < 8; ++number)
    EXPECT_EQ(get(samples, number, 1).lengths, std::vector<int32_t>{1});
}

TEST(Packing, TooFewTokensAndForeignTokensAreRefused) {
  EXPECT_EQ(message_of([] {
              make(numbered({3, 5}), {.seq_length = 8});
            }),
            "numbered: the train part has 8 tokens, one sample of sequence length 8 needs 9");
  EXPECT_EQ(message_of([] { make(numbered({}), {.seq_length = 8}); }),
            "numbered: the train part is empty");
  EXPECT_EQ(message_of([] { make(numbered({3}), {.seq_length = 0}); }),
            "[data] sequence length 0, at least 1 is needed");
  PackedSamples samples = make(numbered({9, 9}), {.seq_length = 8, .vocab_size = 105});
  EXPECT_EQ(message_of([&] {
              for (int64_t number = 0; number < 2; ++number) get(samples, number, 8);
            }),
            "numbered: token id 105 is outside the vocabulary of 105 (document 1)");
}

}  // namespace
}  // namespace moge::data
