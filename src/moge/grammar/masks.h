// The tokens that may follow in each state of a grammar, found once and kept.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "moge/grammar/automaton.h"
#include "moge/grammar/byte_trie.h"
#include "moge/grammar/stacks.h"
#include "moge/grammar/vocabulary.h"

namespace moge::grammar {

/// Of a state whose caller is not known.
struct StateMask {
  std::vector<int32_t> few;    ///< tokens that may come whoever the caller is; where they are many:
  std::vector<uint32_t> many;  ///< the same as bits
  /// What other tokens have left where the rule may have ended: the caller decides about them.
  ByteTrie rest;
  int32_t depth = 0;      ///< rules within rules that any of this may add
  bool too_many = false;  ///< rest is left out: it would be larger than the vocabulary is worth
};

/// Used by several threads.
class StateMasks {
 public:
  StateMasks(const Automaton& automaton, const Vocabulary& vocabulary, Budget& budget);

  std::shared_ptr<const StateMask> of(int32_t state);
  /// Finds the masks of states in order, for at most `ms` milliseconds.
  void prepare(double ms);

 private:
  std::shared_ptr<const StateMask> find(int32_t state) const;

  const Automaton& automaton_;
  const Vocabulary& vocabulary_;
  std::vector<int32_t> classes_;                         // of states that share a mask
  std::mutex mutex_;                                     // guards what follows
  std::vector<std::shared_ptr<const StateMask>> masks_;  // of each class; answers may still use one
  size_t bytes_ = 0;
};

void set_bit(std::span<uint32_t> bits, int32_t id);

}  // namespace moge::grammar
