// What the fuzz targets of this room do with a text: compile it, then follow the masks.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "moge/core/error.h"
#include "moge/grammar/compiled.h"
#include "moge/grammar/output_format.h"

namespace moge::grammar {

/// Bytes and a few pairs of them.
inline std::shared_ptr<const Vocabulary> fuzz_vocabulary() {
  static const auto vocabulary = [] {
    std::vector<std::string> texts{""};
    for (int b = 0; b < 256; ++b) texts.emplace_back(1, static_cast<char>(b));
    for (const char* pair : {"{\"", "\":", "\",", "\"}", "}}", "]]", "[[", "ab", "00", "\xC3\xA9"})
      texts.emplace_back(pair);
    return std::make_shared<const Vocabulary>(texts, std::vector<std::string>{},
                                              std::vector<int32_t>{0});
  }();
  return vocabulary;
}

/// Every token that a mask allows must be taken, and no place is a dead end.
inline void follow(const std::shared_ptr<const CompiledGrammar>& grammar, const Vocabulary& v) {
  const auto answer = start_answer(grammar);
  std::vector<uint32_t> mask(TokenConstraint::mask_words(v.size()));
  for (uint32_t step = 0; step < 24 && !answer->finished(); ++step) {
    answer->allow(mask);
    std::vector<int32_t> ids;
    for (int32_t id = 0; id < v.size(); ++id)
      if ((mask[static_cast<size_t>(id) / 32] >> (id % 32) & 1) != 0) ids.push_back(id);
    if (ids.empty()) std::abort();
    for (const size_t pick : {ids.size() / 2, ids.size() - 1}) answer->clone()->advance(ids[pick]);
    answer->advance(ids[step * 2654435761u % ids.size()]);
  }
}

inline int fuzz(const uint8_t* data, size_t size, OutputFormat::Kind kind) {
  const OutputFormat format{.kind = kind,
                            .text = std::string(reinterpret_cast<const char*>(data), size)};
  std::shared_ptr<const CompiledGrammar> grammar;
  try {
    Budget budget(200'000);  // small: hostile inputs would take all of the time
    grammar = std::make_shared<const CompiledGrammar>(to_grammar(format, budget), fuzz_vocabulary(),
                                                      budget);
  } catch (const Error&) {
    return 0;
  }
  follow(grammar, *fuzz_vocabulary());
  return 0;
}

}  // namespace moge::grammar
