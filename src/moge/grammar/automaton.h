// A whole grammar ready to run: the rules' automata in one array of states, and what is known of
// each state without looking at any text.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "moge/grammar/byte_classes.h"
#include "moge/grammar/nfa.h"

namespace moge::grammar {

/// Every state can end its rule within bounded depth, and no rule calls itself before it reads.
class Automaton {
 public:
  /// Throws Error for a grammar that no text matches, that is left-recursive (naming the rule) or
  /// too large.
  explicit Automaton(const Grammar& grammar, Budget& budget);

  int32_t num_states() const { return static_cast<int32_t>(facts_.size()); }
  int32_t root() const { return start_[0]; }
  int32_t start(RuleId rule) const { return start_[static_cast<size_t>(rule)]; }
  std::span<const Edge> edges(int32_t s) const {
    return {edges_.data() + edges_begin_[at(s)], edges_.data() + edges_begin_[at(s) + 1]};
  }
  std::span<const CallEdge> calls(int32_t s) const {
    return {calls_.data() + calls_begin_[at(s)], calls_.data() + calls_begin_[at(s) + 1]};
  }
  int32_t next(int32_t s, uint8_t byte) const {  ///< -1: none
    for (const Edge& edge : edges(s))
      if (byte <= edge.last) return byte >= edge.first ? edge.target : -1;
    return -1;
  }
  /// Whether a call from here may read the byte first.
  bool reads_by_call(int32_t s, uint8_t byte) const {
    const int32_t i = facts_[at(s)].reads;
    return i >= 0 && (reads_[at(i)][byte / 64] >> (byte % 64) & 1) != 0;
  }
  /// Whether by edges alone every string of these bytes, up to that length, can be read from here,
  /// with no more need on the way. May say no where it can.
  bool reads_all(int32_t s, ByteClasses bytes, int32_t length) const {
    const Run& run = runs_[at(s)];
    return (bytes & ~run.bytes) == 0 && length <= run.length;
  }
  /// The rule may end here.
  bool accepting(int32_t s) const { return facts_[at(s)].accepting; }
  /// The rule may end here, maybe by way of rules that read nothing.
  bool can_end(int32_t s) const { return facts_[at(s)].can_end; }
  /// Nothing follows: the rule ends here.
  bool only_ends(int32_t s) const { return edges(s).empty() && calls(s).empty(); }
  /// Rules within rules that it takes at least to end the rule from here.
  int32_t need(int32_t s) const { return facts_[at(s)].need; }

 private:
  struct Facts {
    bool accepting = false, can_end = false;
    int32_t need = 0;
    int32_t reads = -1;  // where in reads_, for states with calls
  };
  using ByteSet = std::array<uint64_t, 4>;
  /// Bytes that all lead to one state and may be read on from there, in any order.
  struct Run {
    ByteClasses bytes = 0;
    int32_t length = 0;
    int32_t target = -1;
  };
  void find_reads(Budget& budget);
  void find_runs(Budget& budget);
  Run one_byte_run(int32_t s) const;
  static size_t at(int32_t s) { return static_cast<size_t>(s); }

  std::vector<Facts> facts_;
  std::vector<int32_t> start_;
  std::vector<size_t> edges_begin_, calls_begin_;
  std::vector<Edge> edges_;
  std::vector<CallEdge> calls_;
  std::vector<ByteSet> reads_;
  std::vector<Run> runs_;

  friend class Assembler;
};

}  // namespace moge::grammar
