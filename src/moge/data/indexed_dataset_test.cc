#include "moge/data/indexed_dataset.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <limits>

#include "moge/core/error.h"
#include "moge/core/files.h"
#include "moge/core/test_errors.h"

namespace moge::data {
namespace {

class IndexedDatasetTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string prefix(const char* name) const { return (folder_ / name).string(); }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("moge_idx_" + std::to_string(getpid()));
};

/// The bytes of an .idx, field by field, so that each can be made wrong.
struct Index {
  std::string magic = std::string("MMIDIDX\0\0", 9);
  uint64_t version = 1;
  uint8_t type = 8;
  uint64_t sequences = 3, borders = 3;
  std::vector<int32_t> lengths{2, 0, 3};
  std::vector<int64_t> pointers{0, 4, 4};
  std::vector<int64_t> documents{0, 1, 3};
  std::string tail;

  std::string bytes() const {
    std::string out = magic;
    const auto add = [&out](const auto& v) {
      out.append(reinterpret_cast<const char*>(&v), sizeof(v));
    };
    add(version);
    add(type);
    add(sequences);
    add(borders);
    for (int32_t v : lengths) add(v);
    for (int64_t v : pointers) add(v);
    for (int64_t v : documents) add(v);
    return out + tail;
  }
};

const std::string kBin("\x01\x00\x02\x00\xff\xff\x04\x00\x05\x01", 10);

/// Opens bytes copied to the heap, so that a sanitizer sees every step past their end.
std::string open(const std::string& idx, const std::string& bin = kBin) {
  const std::vector<std::byte> i(reinterpret_cast<const std::byte*>(idx.data()),
                                 reinterpret_cast<const std::byte*>(idx.data() + idx.size()));
  const std::vector<std::byte> b(reinterpret_cast<const std::byte*>(bin.data()),
                                 reinterpret_cast<const std::byte*>(bin.data() + bin.size()));
  return message_of([&] { IndexedDataset(i, b, "x"); });
}

TEST_F(IndexedDatasetTest, BytesAreMegatrons) {
  IndexedDatasetWriter writer(prefix("a"), TokenType::kU16);
  writer.add_document(std::vector<int32_t>{1, 2});
  writer.add_sequence({});
  writer.add_sequence(std::vector<int32_t>{65535, 4, 261});
  EXPECT_FALSE(std::filesystem::exists(prefix("a") + ".bin"));
  writer.commit();  // ends the document under way
  EXPECT_EQ(read_file(prefix("a") + ".idx"), Index{}.bytes());
  EXPECT_EQ(read_file(prefix("a") + ".bin"), kBin);
  EXPECT_EQ(writer.num_documents(), 2);
  EXPECT_EQ(writer.num_tokens(), 5);
}

TEST_F(IndexedDatasetTest, ReadsBackEveryType) {
  const std::vector<int32_t> first{1, 2, 127}, second{}, third{5, 6, 7, 8, 9};
  for (TokenType type : {TokenType::kU8, TokenType::kI8, TokenType::kI16, TokenType::kI32,
                         TokenType::kI64, TokenType::kU16}) {
    IndexedDatasetWriter writer(prefix("b"), type);
    for (const auto& document : {first, second, third}) writer.add_document(document);
    writer.commit();
    const IndexedDataset data(prefix("b"));
    EXPECT_EQ(data.type(), type);
    ASSERT_EQ(data.num_documents(), 3);
    ASSERT_EQ(data.num_sequences(), 3);
    std::vector<int32_t> read(5);
    data.read(2, 0, read);
    EXPECT_EQ(read, third);
    read.resize(2);
    data.read(0, 1, read);
    EXPECT_EQ(read, (std::vector<int32_t>{2, 127}));
    EXPECT_EQ(data.sequence_length(1), 0);
    EXPECT_EQ(data.document_begin(2), 2);
    EXPECT_THROW(data.read(0, 2, read), Error);
    EXPECT_THROW(data.read(3, 0, read), Error);
  }
}

TEST_F(IndexedDatasetTest, TypeFollowsTheVocabulary) {
  EXPECT_EQ(token_type_for(1024), TokenType::kU16);
  EXPECT_EQ(token_type_for(65499), TokenType::kU16);
  EXPECT_EQ(token_type_for(65500), TokenType::kI32);
  EXPECT_EQ(token_type_for(153376), TokenType::kI32);
  IndexedDatasetWriter writer(prefix("c"), TokenType::kU16);
  EXPECT_EQ(message_of([&] { writer.add_document(std::vector<int32_t>{70000}); }),
            prefix("c") + ".bin: token 70000 of document 0 does not fit into 2 bytes");
  EXPECT_THROW(writer.add_document(std::vector<int32_t>{-1}), Error);
}

TEST_F(IndexedDatasetTest, AnAbandonedWriterLeavesTheOldFiles) {
  {
    IndexedDatasetWriter writer(prefix("d"), TokenType::kU16);
    writer.add_document(std::vector<int32_t>{1, 2, 3});
    writer.commit();
    IndexedDatasetWriter abandoned(prefix("d"), TokenType::kU16);
    abandoned.add_document(std::vector<int32_t>{9});
  }
  EXPECT_EQ(IndexedDataset(prefix("d")).sequence_length(0), 3);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 2);
}

TEST(IndexedDatasetErrors, EachIsOneSentence) {
  const auto with = [](auto change) {
    Index index;
    change(index);
    return open(index.bytes());
  };
  EXPECT_EQ(with([](Index&) {}), "");
  EXPECT_EQ(with([](Index& i) { i.tail = "\x01\x02\x03"; }), "");  // modes of multimodal files
  EXPECT_EQ(open("MMIDIDX"), "x.idx: 7 bytes, a header alone has 34");
  EXPECT_EQ(open(""), "x.idx: 0 bytes, a header alone has 34");
  EXPECT_EQ(with([](Index& i) { i.magic[0] = 'N'; }),
            "x.idx: does not begin with MMIDIDX, so it is no Megatron index");
  EXPECT_EQ(with([](Index& i) { i.version = 2; }), "x.idx: version 2, want 1");
  for (int type : {0, 6, 7, 9, 255})
    EXPECT_EQ(with([&](Index& i) { i.type = static_cast<uint8_t>(type); }),
              "x.idx: type code " + std::to_string(type) +
                  " is no integer type (1 u8, 2 i8, 3 i16, 4 i32, 5 i64, 8 u16)");
  EXPECT_EQ(with([](Index& i) { i.sequences = UINT64_MAX; }),
            "x.idx: 18446744073709551615 sequences and 3 document borders do not fit into the "
            "file's 94 bytes");
  EXPECT_EQ(with([](Index& i) { i.borders = UINT64_MAX / 8 + 2; }),
            "x.idx: 3 sequences and 2305843009213693953 document borders do not fit into the "
            "file's 94 bytes");
  EXPECT_EQ(with([](Index& i) { i.tail = "12"; }),
            "x.idx: 2 bytes follow 3 sequences and 3 document borders, want none");
  EXPECT_EQ(with([](Index& i) { i.lengths[0] = -1; }), "x.idx: sequence 0 has -1 tokens");
  EXPECT_EQ(with([](Index& i) { i.lengths[2] = 4; }),
            "x.idx: sequence 2 (4 tokens of 2 bytes from byte 4) points past x.bin, which has 10 "
            "bytes");
  EXPECT_NE(with([](Index& i) { i.pointers[1] = 11; }), "");
  EXPECT_NE(with([](Index& i) { i.pointers[1] = -2; }), "");
  EXPECT_NE(with([](Index& i) { i.pointers[2] = INT64_MAX; }), "");
  EXPECT_NE(with([](Index& i) { i.lengths[2] = INT32_MAX; }), "");
  EXPECT_EQ(with([](Index& i) {
              i.documents = {1, 1, 3};
            }),
            "x.idx: the first document begins at sequence 1, want 0");
  EXPECT_EQ(with([](Index& i) {
              i.documents = {0, 4, 3};
            }),
            "x.idx: document 2 begins at sequence 3, before document 1 at 4");
  EXPECT_EQ(with([](Index& i) {
              i.documents = {0, 1, 2};
            }),
            "x.idx: the documents end at sequence 2, but there are 3 sequences");
  Index none{.sequences = 0, .borders = 0, .lengths = {}, .pointers = {}, .documents = {}};
  EXPECT_EQ(open(none.bytes()), "x.idx: no document border, want at least 1");
}

TEST(IndexedDatasetErrors, MissingFilesAreNamed) {
  EXPECT_EQ(message_of([] { IndexedDataset("/nonexistent/p"); }),
            "/nonexistent/p.idx: cannot be opened: No such file or directory");
  EXPECT_NE(message_of([] { IndexedDatasetWriter("/nonexistent/p", TokenType::kU16); }), "");
}

TEST(IndexedDatasetErrors, AnIdTooLargeForInt32IsRefused) {
  const int64_t big = int64_t{1} << 40;
  const Index index{.type = 5,
                    .sequences = 1,
                    .borders = 2,
                    .lengths = {1},
                    .pointers = {0},
                    .documents = {0, 1}};
  const std::string idx = index.bytes();
  const IndexedDataset data(std::as_bytes(std::span(idx)), std::as_bytes(std::span(&big, 1)), "x");
  int32_t out = 0;
  EXPECT_EQ(message_of([&] {
              data.read(0, 0, {&out, 1});
            }),
            "x.bin: 1099511627776 in sequence 0 is no token id");
}

}  // namespace
}  // namespace moge::data
