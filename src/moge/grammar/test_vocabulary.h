// Vocabularies and compiled grammars for tests.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "moge/core/test_errors.h"
#include "moge/grammar/grammar_cache.h"

namespace moge::grammar {

inline constexpr int32_t kEnd = 0;  ///< the end token of every vocabulary here

/// The end token, every byte, and pieces as byte-level tokenizers learn them.
inline std::shared_ptr<const Vocabulary> test_vocabulary() {
  std::vector<std::string> texts{"<end>"};
  for (int b = 0; b < 256; ++b) texts.emplace_back(1, static_cast<char>(b));
  for (const char* piece : {"{\"",          "\":",       "\": ",         "\": \"",
                            "\",",          "\", \"",    "\"}",          "\"]",
                            "},",           "}, {",      "[{",           "}]",
                            "]}",           "}}",        "]]",           "[[",
                            "[]",           "{}",        " {",           " [",
                            " \"",          ", ",        ": ",           "tr",
                            "true",         "false",     "null",         "ue",
                            "na",           "name",      "\"name",       "name\"",
                            "\"name\":",    "age",       "items",        "id",
                            "value",        "kind",      "10",           "12",
                            "123",          "00",        "000",          "99",
                            "0.",           ".5",        "1.5",          "-1",
                            "e+",           "1e",        "\\n",          "\\u",
                            "\\u00",        "\\ud8",     "\\\"",         "\\\\",
                            "\xC3\xA9",     "\xC3\xA9t", "t\xC3",        "\xE4\xB8",
                            "\xE4\xB8\xAD", "\x96\x87",  "\xF0\x9F\x98", "\xF0\x9F\x98\x80",
                            "ab",           "abc",       "hello",        " hello",
                            "foo\", ",      "a\": 1",    "x\"}]",        "  ",
                            "\n",           "\n  "})
    texts.emplace_back(piece);
  return std::make_shared<const Vocabulary>(texts, std::vector<std::string>{},
                                            std::vector<int32_t>{kEnd});
}

inline std::shared_ptr<const CompiledGrammar> compile(
    const OutputFormat& format, std::shared_ptr<const Vocabulary> vocabulary = test_vocabulary()) {
  Budget budget;
  return std::make_shared<const CompiledGrammar>(to_grammar(format, budget), std::move(vocabulary),
                                                 budget);
}

inline OutputFormat regex(std::string text) {
  return {.kind = OutputFormat::Kind::kRegex, .text = std::move(text)};
}
inline OutputFormat gbnf(std::string text) {
  return {.kind = OutputFormat::Kind::kGbnf, .text = std::move(text)};
}
inline OutputFormat schema(std::string text) {
  return {.kind = OutputFormat::Kind::kJsonSchema, .text = std::move(text)};
}

/// Ids that a mask allows.
inline std::vector<int32_t> allowed_by(TokenConstraint& answer, int64_t vocab_size) {
  std::vector<uint32_t> mask(TokenConstraint::mask_words(vocab_size), ~0u);
  answer.allow(mask);
  std::vector<int32_t> ids;
  for (int32_t id = 0; id < vocab_size; ++id)
    if ((mask[static_cast<size_t>(id) / 32] >> (id % 32) & 1) != 0) ids.push_back(id);
  return ids;
}

/// A text of tokens drawn from the masks, up to the end token; gives up behind `most` tokens.
struct Walk {
  std::string text;
  bool stopped = false;
};
inline Walk random_walk(const std::shared_ptr<const CompiledGrammar>& grammar,
                        const Vocabulary& vocabulary, std::mt19937_64& rng, int most) {
  const auto answer = start_answer(grammar);
  Walk walk;
  for (int i = 0; i < most; ++i) {
    if (answer->finished()) {
      walk.stopped = true;
      return walk;
    }
    std::vector<int32_t> ids = allowed_by(*answer, vocabulary.size());
    check(!ids.empty(), "no token can follow {}", walk.text);
    // Towards the end rather than on and on: every second draw looks for something that closes.
    int32_t id = ids[rng() % ids.size()];
    if (rng() % 2 == 0)
      for (const int32_t other : ids) {
        const std::string& text = vocabulary.text(other, i == 0);
        if (other == kEnd || text == "\"" || text == "}" || text == "]") id = other;
      }
    answer->advance(id);
    if (id == kEnd) {
      walk.stopped = true;
      return walk;
    }
    walk.text += vocabulary.text(id, i == 0);
  }
  return walk;
}

}  // namespace moge::grammar
