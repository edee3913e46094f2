// What a request can ask of its output's form, and compiled grammars kept for the next request.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "moge/grammar/compiled.h"

namespace moge::grammar {

struct OutputFormat {
  enum class Kind : uint8_t { kJsonObject, kJsonSchema, kRegex, kChoice, kGbnf };
  Kind kind = Kind::kJsonObject;
  std::string text;                  ///< schema, regular expression or grammar
  std::vector<std::string> choices;  ///< kChoice

  /// The whole output is JSON: nothing but its end may end it.
  bool is_json() const { return kind == Kind::kJsonObject || kind == Kind::kJsonSchema; }
  bool operator==(const OutputFormat&) const = default;
};

/// Throws Error that says what is wrong with it, naming the keyword of a schema.
Grammar to_grammar(const OutputFormat& format, Budget& budget);

/// Compiles for one vocabulary and keeps what was used last. Used by several threads.
class GrammarCache {
 public:
  explicit GrammarCache(std::shared_ptr<const Vocabulary> vocabulary, size_t capacity = 64)
      : vocabulary_(std::move(vocabulary)), capacity_(capacity) {}

  /// Takes time for a format that is not known yet; errors as to_grammar's and CompiledGrammar's.
  std::shared_ptr<const CompiledGrammar> get(const OutputFormat& format);

 private:
  struct Entry {
    OutputFormat format;
    std::shared_ptr<const CompiledGrammar> grammar;  // answers may outlive the entry
  };
  std::shared_ptr<const CompiledGrammar> find(const OutputFormat& format);

  std::shared_ptr<const Vocabulary> vocabulary_;  // shared with the grammars
  size_t capacity_;
  std::mutex mutex_;          // guards what follows
  std::list<Entry> entries_;  // last used first
};

}  // namespace moge::grammar
