#include "moge/data/dataset.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "moge/core/files.h"
#include "moge/core/test_errors.h"
#include "moge/data/prepare.h"
#include "moge/data/test_tokenizer.h"

namespace moge::data {
namespace {

class DatasetTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  /// Token files with `documents` documents of ten tokens `token`.
  std::string tokens(const std::string& name, int32_t token, int documents) const {
    IndexedDatasetWriter writer(path(name), TokenType::kU16);
    for (int d = 0; d < documents; ++d) writer.add_document(std::vector<int32_t>(10, token));
    writer.commit();
    return path(name);
  }
  static int32_t first_token(BatchSource& source, int64_t sample, size_t T = 8) {
    std::vector<int32_t> tokens(T), targets(T), lengths;
    source.get(sample, {tokens, targets, {}, {}}, lengths);
    return tokens[0];
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("moge_dataset_" + std::to_string(getpid()));
};

TEST_F(DatasetTest, SplitSharesTheTokens) {
  DataOptions options{.data_path = {tokens("a", 1, 100)}, .packing = {.seq_length = 8}};
  options.split = "8,1,1";
  const DataParts parts = open_data(options, nullptr, nullptr);
  EXPECT_EQ(parts.train->num_tokens(), 800);
  EXPECT_EQ(parts.valid->num_tokens(), 100);
  EXPECT_EQ(parts.test->num_tokens(), 100);
  EXPECT_EQ(parts.train->samples_per_epoch(), 99);
  options.split = "1";
  const DataParts whole = open_data(options, nullptr, nullptr);
  EXPECT_EQ(whole.train->num_tokens(), 1000);
  EXPECT_EQ(whole.valid, nullptr);
  options.split = "949,50,1";  // one token for the test part: too few for a sample
  EXPECT_EQ(open_data(options, nullptr, nullptr).test, nullptr);
  options.split = "0,1,1";
  EXPECT_EQ(message_of([&] { open_data(options, nullptr, nullptr); }),
            path("a") + ": the train part is empty");
}

TEST_F(DatasetTest, BlendGivesItsSharesInEveryStretch) {
  DataOptions options{
      .data_path = {"0.3", tokens("a", 1, 10), "0.6", tokens("b", 2, 30), "0.1", tokens("c", 3, 5)},
      .split = "1",
      .packing = {.seq_length = 8}};
  const DataParts parts = open_data(options, nullptr, nullptr);
  const double shares[] = {0.3, 0.6, 0.1};
  double counts[3] = {0, 0, 0};
  for (int64_t sample = 0; sample < 10000; ++sample) {
    ++counts[first_token(*parts.train, sample) - 1];
    for (int s = 0; s < 3; ++s)
      ASSERT_NEAR(counts[s], shares[s] * static_cast<double>(sample + 1), 3.0) << sample;
  }
}

// A source of a blend shows its own samples in its own order, none twice in an epoch.
TEST_F(DatasetTest, BlendVisitsEachSourceInOrder) {
  const auto make = [&](const std::string& name, int32_t first) {
    IndexedDatasetWriter writer(path(name), TokenType::kU16);
    std::vector<int32_t> document(401);
    std::iota(document.begin(), document.end(), first);
    writer.add_document(document);
    writer.commit();
    return path(name);
  };
  DataOptions options{.data_path = {"1", make("a", 0), "3", make("b", 1000)},
                      .split = "1",
                      .packing = {.seq_length = 8}};
  const DataParts parts = open_data(options, nullptr, nullptr);
  std::vector<int32_t> a;
  for (int64_t sample = 0; a.size() < 50; ++sample) {
    const int32_t token = first_token(*parts.train, sample);
    if (token < 1000) a.push_back(token);
  }
  std::sort(a.begin(), a.end());
  for (int32_t i = 0; i < 50; ++i) EXPECT_EQ(a[static_cast<size_t>(i)], 8 * i);
}

TEST_F(DatasetTest, PathsWithoutWeightsCountByTokens) {
  DataOptions options{.data_path = {tokens("a", 1, 10), tokens("b", 2, 30)},
                      .split = "1",
                      .packing = {.seq_length = 8}};
  const DataParts parts = open_data(options, nullptr, nullptr);
  int ones = 0;
  for (int64_t sample = 0; sample < 400; ++sample) ones += first_token(*parts.train, sample) == 1;
  EXPECT_NEAR(ones, 100, 2);
}

TEST_F(DatasetTest, TextIsTokenizedInMemoryAsPrepareWould) {
  write_file(path("a.jsonl"), "{\"text\": \"first text\"}\n{\"text\": \"second\"}\n");
  const ByteTokenizer tokenizer;
  prepare_dataset(path("a.jsonl"), tokenizer, path("p"), {.append_eod = true});
  DataOptions text{.train_data_path = {path("a.jsonl")}, .packing = {.seq_length = 5}};
  DataOptions prepared = text;
  prepared.train_data_path = {path("p.bin")};  // either file's name will do
  const DataParts a = open_data(text, &tokenizer, nullptr);
  const DataParts b = open_data(prepared, &tokenizer, nullptr);
  EXPECT_EQ(a.valid, nullptr);
  ASSERT_EQ(a.train->num_tokens(), 18);
  for (int64_t sample = 0; sample < 12; ++sample) {
    std::vector<int32_t> x(5), y(5), u(5), v(5), lengths;
    a.train->get(sample, {x, y, {}, {}}, lengths);
    b.train->get(sample, {u, v, {}, {}}, lengths);
    EXPECT_EQ(x, u);
    EXPECT_EQ(y, v);
  }
}

TEST_F(DatasetTest, SeparateValidationPaths) {
  DataOptions options{.train_data_path = {tokens("a", 1, 10)},
                      .valid_data_path = {tokens("b", 2, 10)},
                      .packing = {.seq_length = 8}};
  const DataParts parts = open_data(options, nullptr, nullptr);
  EXPECT_EQ(first_token(*parts.train, 0), 1);
  EXPECT_EQ(first_token(*parts.valid, 0), 2);
  options.data_path = {path("a")};
  EXPECT_EQ(message_of([&] { open_data(options, nullptr, nullptr); }),
            "--data-path and --train-data-path cannot both be given");
}

TEST_F(DatasetTest, WrongOptionsAreUsageErrors) {
  EXPECT_EQ(message_of([] { open_data({.packing = {.seq_length = 8}}, nullptr, nullptr); }),
            "--data-path: no data was named (or --train-data-path)");
  for (const char* split : {"", "a", "1,,1", "1,2,3,4", "-1,2", "nan", "1,2,"})
    EXPECT_EQ(
        message_of([&] { parse_split(split); }),
        "--split: '" + std::string(split) + "' is no list of one to three shares such as 949,50,1");
  EXPECT_EQ(message_of([] { parse_split("0,0"); }), "--split: the shares '0,0' are all 0");
  EXPECT_EQ(message_of([] {
              parse_blend("--data-path", {"0.5", "a", "0.5"});
            }),
            "--data-path: '0.5' lacks its weight or its path");
  EXPECT_EQ(message_of([] {
              parse_blend("--data-path", {"1", "a", "b", "c"});
            }),
            "--data-path: weight 'b' of c is no number above 0");
  EXPECT_EQ(message_of([] {
              parse_blend("--data-path", {"0", "a"});
            }),
            "--data-path: weight '0' of a is no number above 0");
  EXPECT_EQ(message_of([&] {
              open_data({.data_path = {"1", tokens("a", 1, 9), "100000", tokens("b", 1, 9)},
                         .split = "1",
                         .packing = {.seq_length = 8}},
                        nullptr, nullptr);
            }),
            "[data] source 1 has a share of 1e-05, too little for 1 sample in 4096");
  write_file(path("t.txt"), "text");
  EXPECT_EQ(message_of([&] {
              open_data({.data_path = {path("t.txt")}, .packing = {.seq_length = 8}}, nullptr,
                        nullptr);
            }),
            path("t.txt") + ": text can only be read with a tokenizer");
}

}  // namespace
}  // namespace moge::data
