// Compiled grammars, kept for the next request that asks for the same.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <utility>

#include "moge/grammar/compiled.h"
#include "moge/grammar/output_format.h"

namespace moge::grammar {

/// For one vocabulary. Used by several threads.
class GrammarCache {
 public:
  explicit GrammarCache(std::shared_ptr<const Vocabulary> vocabulary, size_t capacity = 32)
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
