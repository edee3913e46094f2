// Subtrees that are passed as a whole: what is known of them, and the masks that come of it.
#include "moge/grammar/byte_trie.h"

#include <gtest/gtest.h>

#include "moge/grammar/automaton.h"
#include "moge/grammar/test_vocabulary.h"

namespace moge::grammar {
namespace {

TEST(ByteTrie, SummariesTellOfAllBelow) {
  ByteTrie trie({{"ab", 1}, {"abc1", 2}, {"a ", 3}, {"b", 4}});
  EXPECT_FALSE(trie.summarized());
  trie.summarize();
  EXPECT_EQ(trie.summary(0).height, 4);  // a
  EXPECT_EQ(trie.summary(0).bytes, class_of('a') | class_of('1') | class_of(' '));
  const int32_t b = trie.node(0).next;
  EXPECT_EQ(trie.summary(b).height, 1);
  EXPECT_EQ(trie.summary(b).bytes, class_of('b'));
}

/// Reads as said: every byte that reads_all promises leads on, to states that promise one less.
TEST(Automaton, RunsAreTrue) {
  Budget budget;
  for (const char* expression :
       {"[a-z ]{3,40}\\.", "[^\"]*\"", "(ab|[a-f]{2,5}x)*", "([A-Z][a-z]{0,9} ?){1,7}"}) {
    const Automaton automaton(to_grammar(regex(expression), budget), budget);
    int promises = 0;
    for (int32_t s = 0; s < automaton.num_states(); ++s)
      for (int b = 0; b < 256; ++b)
        for (const int32_t length : {1, 2, 3, 8, 60}) {
          const auto byte = static_cast<uint8_t>(b);
          if (!automaton.reads_all(s, class_of(byte), length)) continue;
          const int32_t next = automaton.next(s, byte);
          ASSERT_GE(next, 0) << expression;
          EXPECT_LE(automaton.need(next), automaton.need(s));
          if (length > 1 && length < 60) {
            EXPECT_TRUE(automaton.reads_all(next, class_of(byte), length - 1)) << expression;
          }
          ++promises;
        }
    EXPECT_GT(promises, 0) << expression;
  }
}

TEST(Masks, CountedRunsAllowExactlyWhatFits) {
  std::vector<std::string> texts{""};
  for (const char* word : {"a", "ab", "abc", "abcd", "abcde", "b", "ba", "ba1", "ba\"", "1", "a b",
                           "\xC3\xA9", "a\xC3\xA9", "ab\xC3", "\"", "\"b"})
    texts.emplace_back(word);
  const auto vocabulary = std::make_shared<const Vocabulary>(texts, std::vector<std::string>{},
                                                             std::vector<int32_t>{0});
  for (const char* expression :
       {"[a-z]{0,4}\"", "[a-z ]{2,3}", "([a-c]|\xC3\xA9){1,3}", "[^\"]*\""}) {
    const auto grammar = compile(regex(expression), vocabulary);
    const auto reads = [&](const std::string& text) {  // some text begins so
      for (const char* end : {"", "\"", "a", "aa", "aa\"", "aaa"})
        if (matches(*grammar, text + end) || matches(*grammar, text + "\xA9" + end)) return true;
      return false;
    };
    for (const char* before : {"", "a", "ab"}) {
      const auto answer = start_answer(grammar);
      for (int32_t id = 1; id < 3; ++id)
        if (texts[static_cast<size_t>(id)] == before) answer->advance(id);
      const std::vector<int32_t> ids = allowed_by(*answer, vocabulary->size());
      for (int32_t id = 1; id < vocabulary->size(); ++id)
        EXPECT_EQ(std::binary_search(ids.begin(), ids.end(), id),
                  reads(before + texts[static_cast<size_t>(id)]))
            << expression << " behind " << before << ": " << texts[static_cast<size_t>(id)];
    }
  }
}

}  // namespace
}  // namespace moge::grammar
