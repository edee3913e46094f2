#include "moge/data/prepare.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "moge/core/error.h"
#include "moge/core/files.h"
#include "moge/data/test_tokenizer.h"
#include "moge/data/text_input.h"
#include "moge/runtime/thread_pool.h"

namespace moge::data {
namespace {

class PrepareTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string write(const char* name, std::string_view text) const {
    const std::string path = (folder_ / name).string();
    write_file(path, text);
    return path;
  }
  std::string prefix() const { return (folder_ / "out").string(); }
  std::string failure(const std::string& input, const Tokenizer& tokenizer = ByteTokenizer()) {
    try {
      prepare_dataset(input, tokenizer, prefix(), {});
    } catch (const Error& e) {
      EXPECT_FALSE(std::filesystem::exists(prefix() + ".bin"));
      EXPECT_FALSE(std::filesystem::exists(prefix() + ".idx"));
      return e.what();
    }
    return "";
  }
  static std::string text_of(const Documents& documents, int64_t d) {
    std::vector<int32_t> ids(static_cast<size_t>(documents.length(d)));
    documents.read(d, 0, ids);
    std::string text;
    for (int32_t id : ids) text += ByteTokenizer().id_to_piece(id);
    return text;
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("moge_prepare_" + std::to_string(getpid()));
};

TEST_F(PrepareTest, JsonLinesBecomeDocuments) {
  const auto input = write("a.jsonl",
                           "\xEF\xBB\xBF{\"text\": \"one\\ntwo\", \"domain\": \"x\"}\r\n"
                           "\n"
                           "{\"text\": \"\"}\n"
                           "{\"id\": 7, \"text\": \"caf\\u00e9\"}");
  int64_t last = 0;
  const PrepareSummary summary =
      prepare_dataset(input, ByteTokenizer(), prefix(),
                      {.append_eod = true, .progress = [&](int64_t bytes) { last = bytes; }});
  EXPECT_EQ(summary.documents, 2);
  EXPECT_EQ(summary.text_bytes, 12);
  EXPECT_EQ(summary.tokens, 14);
  EXPECT_GT(last, 0);
  const IndexedDocuments documents{IndexedDataset(prefix())};
  ASSERT_EQ(documents.size(), 2);
  EXPECT_EQ(text_of(documents, 0), "one\ntwo<eos>");
  EXPECT_EQ(text_of(documents, 1), "caf\xC3\xA9<eos>");
  EXPECT_EQ(IndexedDataset(prefix()).type(), TokenType::kU16);
  prepare_dataset(input, ByteTokenizer(true, 153376), prefix(), {.append_eod = false});
  EXPECT_EQ(IndexedDataset(prefix()).type(), TokenType::kI32);
  EXPECT_EQ(text_of(IndexedDocuments{IndexedDataset(prefix())}, 0), "one\ntwo");
}

TEST_F(PrepareTest, ThreadsChangeNothing) {
  std::string lines;
  for (int i = 0; i < 3000; ++i)
    lines += "{\"text\": \"" + std::string(static_cast<size_t>(i % 2500), 'a') + "\"}\n";
  const auto input = write("a.jsonl", lines);  // several batches
  prepare_dataset(input, ByteTokenizer(), prefix(), {});
  const std::string bin = read_file(prefix() + ".bin"), idx = read_file(prefix() + ".idx");
  ThreadPool pool(3);
  prepare_dataset(input, ByteTokenizer(), prefix(), {.pool = &pool});
  EXPECT_EQ(read_file(prefix() + ".bin"), bin);
  EXPECT_EQ(read_file(prefix() + ".idx"), idx);
}

TEST_F(PrepareTest, ATextFileIsOneDocumentWhateverItsSize) {
  std::string text;
  while (text.size() < size_t{3} << 20) text += "A line of some words.\n\n  Indented.\n";
  const auto input = write("a.txt", text);
  std::string joined;
  int pieces = 0;
  read_text(input, [&](const TextPiece& piece) {
    EXPECT_LE(static_cast<int64_t>(piece.text.size()), kPieceBytes);
    if (!joined.empty()) {
      EXPECT_TRUE(joined.ends_with("\n"));
      EXPECT_EQ(piece.text[0], 'A');  // never before a space that belongs to the line end
    }
    joined += piece.text;
    ++pieces;
    EXPECT_EQ(piece.ends_document, joined.size() == text.size());
  });
  EXPECT_EQ(joined, text);
  EXPECT_GT(pieces, 2);
  prepare_dataset(input, ByteTokenizer(), prefix(), {.append_eod = true});
  const IndexedDocuments documents{IndexedDataset(prefix())};
  ASSERT_EQ(documents.size(), 1);
  EXPECT_EQ(text_of(documents, 0), text + "<eos>");
  EXPECT_EQ(text_of(*load_text(input, ByteTokenizer(), {}), 0), text + "<eos>");
}

TEST_F(PrepareTest, ATextWithoutLineEndsIsCutBetweenCharacters) {
  std::string text;
  while (text.size() < (size_t{1} << 20) + 10) text += "\xE4\xB8\xAD";
  read_text(write("a.txt", text),
            [](const TextPiece& piece) { EXPECT_EQ(piece.text.size() % 3, 0u); });
}

TEST_F(PrepareTest, WrongInputIsNamedWithItsLine) {
  const auto jsonl = [&](std::string_view text) {
    const auto path = write("w.jsonl", text);
    const std::string message = failure(path);
    EXPECT_TRUE(message.starts_with(path)) << message;
    return message.substr(std::min(path.size(), message.size()));
  };
  EXPECT_EQ(jsonl("{\"text\": \"a\"}\n[1]\n"), ":2: array instead of a JSON object");
  EXPECT_EQ(jsonl("{\"texts\": \"a\"}\n"), ":1: the object has no key \"text\"");
  EXPECT_EQ(jsonl("{\"text\": 5}\n"), ":1: \"text\" is number, want a string");
  EXPECT_TRUE(jsonl("\n\n{\"text\": \"a\n").starts_with(":3: malformed JSON: "));
  EXPECT_TRUE(jsonl("{\"text\": \"\xff\"}\n").starts_with(":1: malformed JSON: "));
  EXPECT_EQ(jsonl(""), ": the corpus is empty (0 bytes, no document with text)");
  EXPECT_EQ(jsonl("{\"text\": \"\"}\n\n"),
            ": the corpus is empty (14 bytes, no document with text)");
  const auto blank = write("w.txt", " \n\n");
  EXPECT_EQ(failure(blank), blank + ": the corpus is empty (3 bytes, no text)");
  const auto other = write("w.csv", "a,b");
  EXPECT_EQ(failure(other), other + ": the name ends neither in .txt nor in .jsonl");
  EXPECT_EQ(failure("/nonexistent/a.txt"),
            "/nonexistent/a.txt: cannot be opened: No such file or directory");
  const auto good = write("g.txt", "good");
  EXPECT_EQ(failure(good, ByteTokenizer(/*has_eos=*/false)),
            good + ": the tokenizer names no end-of-text token to put after each document");
}

TEST_F(PrepareTest, AStopLeavesNoFile) {
  const auto input = write("a.txt", "text");
  const PrepareOptions options{.progress = [](int64_t) { fail("stopped"); }};
  EXPECT_THROW(prepare_dataset(input, ByteTokenizer(), prefix(), options), Error);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

}  // namespace
}  // namespace moge::data
