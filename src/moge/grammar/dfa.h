// Deterministic automata over bytes, for the regular parts of grammars.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "moge/grammar/budget.h"

namespace moge::grammar {

struct Edge {
  uint8_t first = 0, last = 0;  ///< bytes, both included
  int32_t target = 0;
};

/// Starts in state 0. Edges of a state are in order and do not overlap.
struct Dfa {
  struct State {
    std::vector<Edge> edges;
    bool accepting = false;
  };
  std::vector<State> states;

  int32_t next(int32_t state, uint8_t byte) const;  ///< -1: none
  bool matches(std::string_view text) const;
};

/// The texts of both.
Dfa intersect(const Dfa& a, const Dfa& b, Budget& budget);
/// The texts of `a` that `b` has not.
Dfa subtract(const Dfa& a, const Dfa& b, Budget& budget);
/// Without states from which no text ends; state 0 stays.
Dfa without_dead_ends(const Dfa& dfa);
/// Whether no text is accepted, once dead ends are gone.
bool is_empty(const Dfa& dfa);

}  // namespace moge::grammar
