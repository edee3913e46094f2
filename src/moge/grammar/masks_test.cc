// Masks against what they mean: a token may come exactly if the text can go on with its bytes, and
// the end may come exactly if the text is complete.
#include <gtest/gtest.h>

#include <algorithm>

#include "moge/grammar/test_vocabulary.h"

namespace moge::grammar {
namespace {

const std::vector<OutputFormat>& formats() {
  static const std::vector<OutputFormat> all{
      {.kind = OutputFormat::Kind::kJsonObject},
      schema(
          R"({"type":"array","items":{"anyOf":[{"$ref":"#"},{"type":"string","maxLength":3}]}})"),
      schema(R"({"properties":{"name":{"type":"string"},"age":{"type":"integer"},
                 "items":{"type":"array","items":{"type":"number"}}},"additionalProperties":{}})"),
      schema(R"({"type":"string","pattern":"^(a|b\"|\u00e9)*$"})"),
      regex("(ab|abc|x\"}])*[0-9]{0,3}"),
      regex("[^\"]*\", [a-c]+"),
      gbnf("root ::= word* \"\\n\"\nword ::= [a-z]+ \" \"? | \"{\\\"\" root \"}\""),
      gbnf("root ::= (a | b)*\na ::= \"1\" a?\nb ::= \"1\" \"2\"? (\"3\" | a)"),
      {.kind = OutputFormat::Kind::kChoice, .choices = {"hello", "hello, name", "true"}},
  };
  return all;
}

/// Whether the grammar has a text that begins so: a fresh answer takes it byte by byte.
bool can_begin(const std::shared_ptr<const CompiledGrammar>& bytes_only, const std::string& text) {
  const auto answer = start_answer(bytes_only);
  try {
    for (const char c : text) answer->advance(1 + static_cast<unsigned char>(c));
  } catch (const Error&) {
    return false;
  }
  return true;
}

TEST(Masks, AllowExactlyWhatCanFollow) {
  std::mt19937_64 rng(1);
  const auto vocabulary = test_vocabulary();
  for (const OutputFormat& format : formats()) {
    const auto grammar = compile(format, vocabulary);
    for (int round = 0; round < 3; ++round) {
      const auto answer = start_answer(grammar);
      std::string text;
      for (int step = 0; step < 12 && !answer->finished(); ++step) {
        const std::vector<int32_t> ids = allowed_by(*answer, vocabulary->size());
        for (int32_t id = 0; id < vocabulary->size(); ++id) {
          const bool allowed = std::binary_search(ids.begin(), ids.end(), id);
          const bool wanted = id == kEnd ? matches(*grammar, text)
                                         : can_begin(grammar, text + vocabulary->text(id, false));
          ASSERT_EQ(allowed, wanted)
              << format.text << "\nbehind " << text << "\ntoken " << vocabulary->text(id, false);
        }
        ASSERT_FALSE(ids.empty()) << format.text << "\nbehind " << text;
        const int32_t id = ids[rng() % ids.size()];
        answer->advance(id);
        if (id != kEnd) text += vocabulary->text(id, false);
      }
    }
  }
}

TEST(Masks, TheFirstTokenMayLoseItsBlank) {
  std::vector<std::string> texts{"", "a", " a", "b", " b"}, first{"", "a", "a", "b", "b"};
  const auto vocabulary =
      std::make_shared<const Vocabulary>(texts, first, std::vector<int32_t>{kEnd});
  const auto answer = start_answer(compile(regex("a b"), vocabulary));
  EXPECT_EQ(allowed_by(*answer, 5), (std::vector<int32_t>{1, 2}));
  answer->advance(2);
  EXPECT_EQ(allowed_by(*answer, 5), (std::vector<int32_t>{4}));
  answer->advance(4);
  EXPECT_TRUE(answer->finished());
}

TEST(Masks, EndsAndCopies) {
  const auto vocabulary = test_vocabulary();
  const auto answer = start_answer(compile(regex("1?"), vocabulary));
  EXPECT_FALSE(answer->finished());
  EXPECT_EQ(allowed_by(*answer, vocabulary->size()), (std::vector<int32_t>{kEnd, 1 + '1'}));
  const auto copy = answer->clone();
  answer->advance(1 + '1');
  EXPECT_TRUE(answer->finished());
  EXPECT_FALSE(copy->finished());
  EXPECT_EQ(allowed_by(*copy, vocabulary->size()), (std::vector<int32_t>{kEnd, 1 + '1'}));
  copy->advance(kEnd);
  EXPECT_TRUE(copy->finished());
  const auto wrong = start_answer(compile(regex("1?"), vocabulary));
  EXPECT_NE(message_of([&] { wrong->advance(1 + '2'); }), "");
  EXPECT_NE(message_of([&] { wrong->advance(100000); }), "");
}

TEST(Masks, DeepTextsEndInTime) {
  const auto vocabulary = test_vocabulary();
  const auto grammar = compile(schema(R"({"type":"array","items":{"$ref":"#"}})"), vocabulary);
  const auto answer = start_answer(grammar);
  std::string text;
  const auto id_of = [&](const std::string& wanted) {
    for (int32_t id = 0; id < vocabulary->size(); ++id)
      if (vocabulary->text(id, false) == wanted) return id;
    return -1;
  };
  for (const int32_t open : {id_of("[["), id_of("[")})  // as deep as it goes
    for (std::vector<int32_t> ids = allowed_by(*answer, vocabulary->size());
         std::count(ids.begin(), ids.end(), open) > 0;
         ids = allowed_by(*answer, vocabulary->size())) {
      answer->advance(open);
      text += vocabulary->text(open, false);
      ASSERT_LT(text.size(), 1000u);
    }
  EXPECT_GT(text.size(), 100u);
  for (size_t depth = text.size(); depth > 0; --depth) {
    const int32_t close = 1 + ']';
    const std::vector<int32_t> ids = allowed_by(*answer, vocabulary->size());
    ASSERT_EQ(std::count(ids.begin(), ids.end(), close), 1);
    answer->advance(close);
  }
  EXPECT_TRUE(answer->finished());
}

TEST(Masks, HostileAmbiguityEndsInTime) {
  std::string text = "root ::= (";
  for (int i = 0; i < 300; ++i) text += fmt::format("{}r{}", i == 0 ? "" : " | ", i);
  text += ")+\n";
  for (int i = 0; i < 300; ++i)
    text += fmt::format("r{} ::= [a-z]+ r{} | [a-z]\n", i, (i + 1) % 300);
  const auto vocabulary = test_vocabulary();
  const auto answer = start_answer(compile(gbnf(text), vocabulary));
  for (int i = 0; i < 20; ++i) {
    const std::vector<int32_t> ids = allowed_by(*answer, vocabulary->size());
    ASSERT_EQ(std::count(ids.begin(), ids.end(), 1 + 'a'), 1);
    answer->advance(1 + 'a');
  }
}

TEST(Masks, LongTextsKeepTheirPlace) {
  const auto vocabulary = test_vocabulary();
  const auto answer = start_answer(compile(
      schema(R"({"type":"array","items":{"type":"array","items":{"type":"null"}}})"), vocabulary));
  const auto say = [&](std::string_view text) {
    for (const char c : text) answer->advance(1 + static_cast<unsigned char>(c));
  };
  say("[");
  for (int i = 0; i < 3000; ++i) say("[null, null], ");
  const std::vector<int32_t> ids = allowed_by(*answer, vocabulary->size());
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 1 + '['), 1);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 1 + ']'), 0);
  say("[]]");
  EXPECT_TRUE(answer->finished());
}

TEST(GrammarCache, GivesTheSameGrammarUntilOthersPushItOut) {
  GrammarCache cache(test_vocabulary(), /*capacity=*/2);
  const auto first = cache.get(regex("a"));
  EXPECT_EQ(cache.get(regex("a")), first);
  cache.get(regex("b"));
  EXPECT_EQ(cache.get(regex("a")), first);
  cache.get(gbnf("root ::= \"a\""));  // b goes, it was used longest ago
  EXPECT_EQ(cache.get(regex("a")), first);
  cache.get(regex("b"));
  cache.get(regex("c"));
  EXPECT_NE(cache.get(regex("a")), first);
  EXPECT_NE(message_of([&] { cache.get(regex("(")); }), "");
}

}  // namespace
}  // namespace moge::grammar
