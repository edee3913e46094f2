// Structured output as the engine takes it: a grammar compiled for a vocabulary, and where one
// answer stands in it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "moge/grammar/grammar.h"
#include "moge/grammar/vocabulary.h"
#include "moge/text/token_constraint.h"

namespace moge::grammar {

/// Shared by all answers that follow it; used by several threads.
class CompiledGrammar {
 public:
  /// Throws Error for a grammar that is too large, that nothing matches, or left-recursive. The
  /// budget counts what came before, too. Both are shared with the answers that are still made.
  CompiledGrammar(const Grammar& grammar, std::shared_ptr<const Vocabulary> vocabulary,
                  Budget& budget);
  ~CompiledGrammar();

  /// Finds masks ahead of time, for at most `ms` milliseconds.
  void prepare(double ms) const;
  int64_t num_states() const;

  struct Parts;
  const Parts& parts() const { return *parts_; }

 private:
  std::unique_ptr<Parts> parts_;
};

/// An answer's beginning.
std::shared_ptr<TokenConstraint> start_answer(std::shared_ptr<const CompiledGrammar> grammar);

/// Whether the grammar matches the text, byte by byte.
bool matches(const CompiledGrammar& grammar, std::string_view text);

}  // namespace moge::grammar
