// From an expression to a deterministic automaton whose edges are bytes and calls of rules.
#pragma once

#include <cstdint>
#include <vector>

#include "moge/grammar/grammar.h"

namespace moge::grammar {

struct CallEdge {
  RuleId rule = 0;
  int32_t target = 0;  ///< where the caller goes on
};

/// Starts in state 0; at most one edge of a state per byte and one per rule.
struct RuleAutomaton {
  struct State {
    std::vector<Edge> edges;  ///< in order of their bytes
    std::vector<CallEdge> calls;
    bool accepting = false;
  };
  std::vector<State> states;
};

RuleAutomaton build_automaton(const Grammar& grammar, Expr body, Budget& budget);

}  // namespace moge::grammar
