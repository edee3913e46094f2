// Every case of tokenizer goldens: ids and text equal to the reference libraries', streamed or not.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "moge/core/files.h"
#include "moge/core/test_paths.h"
#include "moge/text/bpe_trainer.h"
#include "moge/text/tokenizer.h"
#include "moge/text/utf8.h"

namespace moge {
namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;

std::filesystem::path shared_goldens() { return testing::shared_goldens() / "tokenizers"; }

void expect_decoded(const Tokenizer& tokenizer, const Ids& ids, bool skip,
                    const std::string& want) {
  EXPECT_EQ(tokenizer.decode(ids, skip), want) << json(ids);
  StreamDecoder stream(tokenizer, skip);
  std::string streamed;
  for (const int32_t id : ids) {
    const std::string part = stream.push(id);
    EXPECT_TRUE(text::is_valid_utf8(part)) << json(ids);
    streamed += part;
  }
  EXPECT_EQ(streamed + stream.flush(), want) << json(ids);
}

/// A text's tokens, each for itself, add up to the text's bytes.
void expect_bytes(const Tokenizer& tokenizer, const Ids& ids) {
  std::string bytes;
  for (size_t i = 0; i < ids.size(); ++i) {
    bytes += tokenizer.token_bytes(ids[i], /*first=*/i == 0);
    if (bytes.empty()) return;  // only blanks so far: then further ones may be dropped as well
  }
  if (text::is_valid_utf8(bytes)) {
    EXPECT_EQ(bytes, tokenizer.decode(ids, false)) << json(ids);
  }
}

void check_case(const Tokenizer& tokenizer, const json& c) {
  const auto text = c.at("text").get<std::string>();
  const auto ids = c.at("ids").get<Ids>();
  EXPECT_EQ(tokenizer.encode(text, true), ids) << c.at("text");
  if (c.contains("ids_plain")) {
    EXPECT_EQ(tokenizer.encode(text, false), c.at("ids_plain").get<Ids>()) << c.at("text");
  }
  if (c.contains("pieces")) {
    const auto pieces = c.at("pieces").get<std::vector<std::string>>();
    std::vector<std::string> got;
    for (const int32_t id : ids) got.push_back(tokenizer.id_to_piece(id));
    EXPECT_EQ(got, pieces) << c.at("text");
  }
  expect_decoded(tokenizer, ids, false, c.at("decoded"));
  expect_bytes(tokenizer, tokenizer.encode(text, false));
  if (c.contains("decoded_skip_special"))
    expect_decoded(tokenizer, ids, true, c.at("decoded_skip_special"));
}

/// Runs the cases of `cases` with the tokenizer of `folder`; returns how many there were.
size_t check_folder(const std::filesystem::path& folder, const std::filesystem::path& cases) {
  const auto tokenizer = Tokenizer::load(folder);
  const json goldens = json::parse(read_file(cases / "cases.json"));
  for (const json& c : goldens.at("cases")) check_case(*tokenizer, c);
  for (const json& c : goldens.at("decode_only")) {
    expect_decoded(*tokenizer, c.at("ids").get<Ids>(), false, c.at("decoded"));
    if (c.contains("decoded_skip_special"))
      expect_decoded(*tokenizer, c.at("ids").get<Ids>(), true, c.at("decoded_skip_special"));
  }
  return goldens.at("cases").size();
}

std::filesystem::path repo_goldens() { return testing::own_goldens() / "tokenizers"; }

class RepoGoldens : public ::testing::TestWithParam<const char*> {};

TEST_P(RepoGoldens, EqualTheReference) {
  const auto folder = repo_goldens() / GetParam();
  EXPECT_GT(check_folder(folder, folder), 50u);
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, RepoGoldens,
                         ::testing::Values("byte_level_prefix", "byte_level_added",
                                           "metaspace_fallback", "no_fallback", "sp_bpe",
                                           "sp_bpe_symbols", "sp_unigram", "trained_by_moge"),
                         [](const auto& info) { return std::string(info.param); });

// tests/tools/make_tokenizer_cases.py: every component by itself, on a vocabulary of characters.
TEST(Pipelines, EqualTheReference) {
  const json file = json::parse(read_file(repo_goldens() / "pipelines.json"));
  for (const json& pipeline : file.at("pipelines")) {
    json tokenizer_json = file.at("base");
    tokenizer_json.update(pipeline.at("parts"));
    SCOPED_TRACE(pipeline.at("parts").dump());
    const auto tokenizer = Tokenizer::from_json(tokenizer_json.dump(), "", "base.json");
    for (const json& c : pipeline.at("cases")) {
      const auto ids = c.at(1).get<Ids>();
      EXPECT_EQ(tokenizer->encode(c.at(0).get<std::string>(), true), ids) << c.at(0);
      expect_decoded(*tokenizer, ids, false, c.at(2));
    }
  }
}

TEST(Trainer, MakesTheCommittedTokenizerAgain) {
  text::BpeTrainer trainer({.vocab_size = 420});
  trainer.add(read_file(testing::source_folder() / "tests/tools/tokenizer_corpus.txt"));
  const auto files = text::tokenizer_files(trainer.train());
  EXPECT_EQ(files.tokenizer_json, read_file(repo_goldens() / "trained_by_moge/tokenizer.json"));
  EXPECT_EQ(files.config_json, read_file(repo_goldens() / "trained_by_moge/tokenizer_config.json"));
}

class SharedGoldens : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(SharedGoldens, EqualTheReference) {
  const auto root = shared_goldens();
  if (!std::filesystem::exists(root))
    GTEST_SKIP() << root << " is absent; the repository's own cases run in RepoGoldens";
  EXPECT_EQ(check_folder(root / GetParam().first, root / GetParam().second), 239u);
}

INSTANTIATE_TEST_SUITE_P(
    Tokenizers, SharedGoldens,
    ::testing::Values(std::pair{"gpt2_bpe", "gpt2_bpe"}, std::pair{"llama3_bpe", "llama3_bpe"},
                      std::pair{"llama3_bpe_v5", "llama3_bpe"}, std::pair{"qwen2_bpe", "qwen2_bpe"},
                      std::pair{"llama2_bpe", "llama2_bpe"},
                      std::pair{"llama2_bpe_old", "llama2_bpe_old"},
                      std::pair{"sp_unigram", "sp_unigram"}, std::pair{"sp_bpe", "sp_bpe"}),
    [](const auto& info) { return std::string(info.param.first); });

}  // namespace
}  // namespace moge
