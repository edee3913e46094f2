#include "moge/text/bpe_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "moge/core/error.h"
#include "moge/text/tokenizer.h"

namespace moge::text {
namespace {

using Ids = std::vector<int32_t>;

std::unique_ptr<Tokenizer> open(const TokenizerFiles& files) {
  return Tokenizer::from_json(files.tokenizer_json, files.config_json, "test/tokenizer.json");
}

std::vector<std::string> corpus() {
  std::vector<std::string> texts;
  for (int i = 0; i < 50; ++i)
    texts.push_back("Mia has " + std::to_string(17 + i) + " red apples and gives away " +
                    std::to_string(i) + " of them.\n#### 17\n<|endoftext|>");
  return texts;
}

TEST(BpeTrainer, MergesTheMostFrequentPairFirst) {
  // "aab" twice and "ab" once: a b stands 3 times, a a 2 times.
  BpeTrainer trainer({.vocab_size = 261, .special_tokens = {}, .eos = "", .pad = ""});
  trainer.add("aab\naab\nab\nxx");
  const ByteLevelVocabulary v = trainer.train();
  ASSERT_EQ(v.merges.size(), 2u) << "x x is seen once only";
  EXPECT_EQ(v.merges[0], std::pair(std::string("a"), std::string("b")));
  EXPECT_EQ(v.merges[1], std::pair(std::string("a"), std::string("ab")));
  EXPECT_EQ(v.tokens.size(), 258u);
}

TEST(BpeTrainer, TheTokenizerReadsItsOwnFiles) {
  const auto texts = corpus();
  const auto files = train_bpe(texts, {.vocab_size = 280});
  const auto tokenizer = open(files);
  EXPECT_EQ(tokenizer->vocab_size(), 280);
  EXPECT_EQ(tokenizer->eos_id(), 277);
  EXPECT_EQ(tokenizer->pad_id(), 277);
  EXPECT_FALSE(tokenizer->bos_id().has_value());
  EXPECT_EQ(tokenizer->piece_to_id("<|im_start|>"), 278);
  EXPECT_TRUE(tokenizer->is_special(277));
  for (const auto& text : texts)
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, true), false), text);
  EXPECT_LT(tokenizer->encode("red apples", true).size(), 10u);
  EXPECT_EQ(tokenizer->encode("<|endoftext|>", true), Ids{277});
}

TEST(BpeTrainer, EveryDigitIsOneToken) {
  const auto tokenizer = open(train_bpe(corpus(), {.vocab_size = 285}));
  const Ids ids = tokenizer->encode("1234567890", true);
  EXPECT_EQ(ids.size(), 10u);
  EXPECT_EQ(tokenizer->encode("a 17 = 17\n", true).size(),
            tokenizer->encode("a  = \n", true).size() + 4);
}

TEST(BpeTrainer, TheOrderOfTheTextsDoesNotMatter) {
  auto texts = corpus();
  const auto files = train_bpe(texts, {.vocab_size = 284});
  std::reverse(texts.begin(), texts.end());
  const auto again = train_bpe(texts, {.vocab_size = 284});
  EXPECT_EQ(files.tokenizer_json, again.tokenizer_json);
  EXPECT_EQ(files.config_json, again.config_json);
}

TEST(BpeTrainer, StopsWhereNoPairRepeats) {
  const auto tokenizer = open(train_bpe(std::vector<std::string>{"abc"}, {.vocab_size = 4096}));
  EXPECT_EQ(tokenizer->vocab_size(), 259);
}

TEST(BpeTrainer, LeavesOutSpecialTokensAndEndlessWords) {
  BpeTrainer trainer({.vocab_size = 300});
  trainer.add("<|endoftext|><|endoftext|><|endoftext|>" + std::string(2000, 'q'));
  EXPECT_TRUE(trainer.train().merges.empty());
}

TEST(BpeTrainer, RefusesAVocabularyWithoutRoomForBytes) {
  try {
    BpeTrainer trainer({.vocab_size = 258});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "[tokenizer] a vocabulary of 258 is too small: 256 bytes and 3 special tokens "
                 "need 259");
  }
}

TEST(ByteTokenizer, OneIdForEachByte) {
  const auto tokenizer = open(byte_tokenizer_files(1024));
  EXPECT_EQ(tokenizer->vocab_size(), 259);
  EXPECT_EQ(tokenizer->eos_id(), 256);
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(tokenizer->encode("h\xC3\xA9<|im_end|>", true).size(), 4u);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("h\xC3\xA9!\n", true), true), "h\xC3\xA9!\n");
  EXPECT_EQ(tokenizer->decode(Ids{256, 39, 258, 700}, true), "H");
  EXPECT_THROW(byte_tokenizer_files(258), Error);
}

}  // namespace
}  // namespace moge::text
