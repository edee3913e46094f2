#include "moge/grammar/nfa.h"

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>
#include <utility>

namespace moge::grammar {

namespace {

/// With moves that read nothing; made by Thompson's construction.
class Nfa {
 public:
  struct State {
    std::vector<int32_t> free;
    std::vector<Edge> edges;
    std::vector<CallEdge> calls;
  };

  Nfa(const Grammar& grammar, Budget& budget) : grammar_(grammar), budget_(budget) { add_state(); }

  /// Adds what `e` reads from state `from` on; returns where it ends.
  int32_t append(Expr e, int32_t from) {
    const Node& node = grammar_.node(e);
    budget_.spend(1);
    switch (node.kind) {
      case Node::Kind::kBytes:
        return append_bytes(node.bytes, from);
      case Node::Kind::kChars:
        return append_chars(node.chars, from);
      case Node::Kind::kSequence:
        for (const Expr part : node.parts) from = append(part, from);
        return from;
      case Node::Kind::kChoice:
        return append_choice(node, from);
      case Node::Kind::kRepeat:
        return append_repeat(node, from);
      case Node::Kind::kCall: {
        const int32_t end = add_state();
        at(from).calls.push_back({node.rule, end});
        return end;
      }
      case Node::Kind::kDfa:
        return append_dfa(*node.dfa, from);
      case Node::Kind::kGraph:
        return append_graph(*node.graph, from);
    }
    return from;
  }

  size_t size() const { return states_.size(); }
  const State& state(int32_t s) const { return states_[static_cast<size_t>(s)]; }

 private:
  State& at(int32_t s) { return states_[static_cast<size_t>(s)]; }

  int32_t add_state() {
    budget_.spend(30);  // also bounds the memory
    states_.emplace_back();
    return static_cast<int32_t>(states_.size()) - 1;
  }

  void add_free(int32_t from, int32_t to) { at(from).free.push_back(to); }

  int32_t append_bytes(const std::string& bytes, int32_t from) {
    for (const char c : bytes)
      from = append_range(static_cast<uint8_t>(c), static_cast<uint8_t>(c), from);
    return from;
  }

  int32_t append_range(uint8_t first, uint8_t last, int32_t from) {
    const int32_t end = add_state();
    at(from).edges.push_back({first, last, end});
    return end;
  }

  int32_t append_chars(const CharSet& chars, int32_t from) {
    const int32_t end = add_state();
    for (const CharRange& range : chars) append_utf8(range.first, range.last, from, end);
    return end;
  }

  /// Cuts a range of characters into ranges whose bytes are independent of each other.
  void append_utf8(char32_t first, char32_t last, int32_t from, int32_t end) {
    for (const char32_t border : {char32_t{0x7F}, char32_t{0x7FF}, char32_t{0xFFFF}})
      if (first <= border && last > border) {
        append_utf8(first, border, from, end);
        append_utf8(border + 1, last, from, end);
        return;
      }
    const int tail = first <= 0x7F ? 0 : first <= 0x7FF ? 1 : first <= 0xFFFF ? 2 : 3;
    for (int i = 1; i <= tail; ++i) {
      const char32_t low = (char32_t{1} << (6 * i)) - 1;  // bits of the last i bytes
      if ((first & ~low) == (last & ~low)) break;
      if ((first & low) != 0) {
        append_utf8(first, first | low, from, end);
        append_utf8((first | low) + 1, last, from, end);
        return;
      }
      if ((last & low) != low) {
        append_utf8(first, (last & ~low) - 1, from, end);
        append_utf8(last & ~low, last, from, end);
        return;
      }
    }
    append_byte_ranges(first, last, tail, from, end);
  }

  void append_byte_ranges(char32_t first, char32_t last, int tail, int32_t from, int32_t end) {
    static constexpr uint8_t kLead[] = {0x00, 0xC0, 0xE0, 0xF0};
    for (int i = tail; i >= 0; --i) {
      const uint8_t mark = i == tail ? kLead[tail] : uint8_t{0x80};
      const auto byte = [&](char32_t c) {
        const char32_t bits = c >> (6 * i);
        return static_cast<uint8_t>(mark | (i == tail ? bits : bits & 0x3F));
      };
      const int32_t to = i == 0 ? end : add_state();
      at(from).edges.push_back({byte(first), byte(last), to});
      from = to;
    }
  }

  int32_t append_choice(const Node& node, int32_t from) {
    const int32_t end = add_state();
    for (const Expr part : node.parts) {
      const int32_t begin = add_state();
      add_free(from, begin);
      add_free(append(part, begin), end);
    }
    return end;
  }

  int32_t append_repeat(const Node& node, int32_t from) {
    const Expr part = node.parts[0];
    for (int32_t i = 0; i < node.least; ++i) from = append_once(part, from);
    const int32_t end = add_state();
    if (node.most < 0) {
      add_free(from, end);
      add_free(append_once(part, end), end);
      return end;
    }
    for (int32_t i = node.least; i < node.most; ++i) {
      add_free(from, end);
      from = append_once(part, from);
    }
    add_free(from, end);
    return end;
  }

  /// In states of its own, so that nothing that loops back to `from` can enter its middle.
  int32_t append_once(Expr part, int32_t from) {
    const int32_t begin = add_state();
    add_free(from, begin);
    return append(part, begin);
  }

  int32_t append_dfa(const Dfa& dfa, int32_t from) {
    const int32_t base = static_cast<int32_t>(states_.size());
    for (size_t i = 0; i < dfa.states.size(); ++i) add_state();
    const int32_t end = add_state();
    add_free(from, base);
    for (size_t i = 0; i < dfa.states.size(); ++i) {
      const int32_t s = base + static_cast<int32_t>(i);
      for (const Edge& edge : dfa.states[i].edges)
        at(s).edges.push_back({edge.first, edge.last, base + edge.target});
      if (dfa.states[i].accepting) add_free(s, end);
      budget_.spend(static_cast<int64_t>(dfa.states[i].edges.size()));
    }
    return end;
  }

  int32_t append_graph(const Graph& graph, int32_t from) {
    const int32_t base = static_cast<int32_t>(states_.size());
    for (int32_t i = 0; i < graph.places; ++i) add_state();
    add_free(from, base);
    for (const Graph::Arrow& arrow : graph.arrows) {
      const int32_t begin = base + arrow.from;
      add_free(arrow.read < 0 ? begin : append_once(arrow.read, begin), base + arrow.to);
    }
    return base + graph.places - 1;
  }

  const Grammar& grammar_;
  Budget& budget_;
  std::vector<State> states_;
};

using StateSet = std::vector<int32_t>;

struct HashSet {
  size_t operator()(const StateSet& set) const {
    uint64_t hash = 1469598103934665603u;
    for (const int32_t s : set) hash = (hash ^ static_cast<uint64_t>(s)) * 1099511628211u;
    return hash;
  }
};

/// The subset construction; a call counts as one more letter.
class Determinizer {
 public:
  Determinizer(const Nfa& nfa, int32_t final_state, Budget& budget)
      : nfa_(nfa), final_(final_state), budget_(budget), seen_(nfa.size()) {}

  RuleAutomaton build() {
    state_of({0});
    for (size_t i = 0; i < sets_.size(); ++i) {
      const StateSet set = *sets_[i];
      out_.states[i].calls = calls_of(set);
      out_.states[i].edges = edges_of(set);
    }
    return std::move(out_);
  }

 private:
  int32_t state_of(StateSet kernel) {
    close(kernel);
    const auto [found, is_new] =
        ids_.try_emplace(std::move(kernel), static_cast<int32_t>(sets_.size()));
    if (is_new) {
      check(static_cast<int64_t>(sets_.size()) < kMaxStates,
            "the grammar is too large: it has more than {} states", kMaxStates);
      budget_.spend(60 + 2 * static_cast<int64_t>(found->first.size()));
      sets_.push_back(&found->first);
      out_.states.push_back(
          {.accepting = std::binary_search(found->first.begin(), found->first.end(), final_)});
    }
    return found->second;
  }

  void close(StateSet& set) {
    ++round_;
    size_t kept = 0;
    for (const int32_t s : set)
      if (is_new(s)) set[kept++] = s;
    set.resize(kept);
    for (size_t i = 0; i < set.size(); ++i) {
      budget_.spend(2);
      for (const int32_t to : nfa_.state(set[i]).free)
        if (is_new(to)) set.push_back(to);
    }
    // What only moves on freely makes no difference between sets.
    std::erase_if(set, [&](int32_t s) {
      const auto& state = nfa_.state(s);
      return s != final_ && state.edges.empty() && state.calls.empty();
    });
    std::sort(set.begin(), set.end());
  }

  bool is_new(int32_t s) { return std::exchange(seen_[static_cast<size_t>(s)], round_) != round_; }

  std::vector<CallEdge> calls_of(const StateSet& set) {
    std::map<RuleId, StateSet> targets;
    for (const int32_t s : set)
      for (const CallEdge& call : nfa_.state(s).calls) targets[call.rule].push_back(call.target);
    std::vector<CallEdge> calls;
    for (auto& [rule, to] : targets) calls.push_back({rule, state_of(std::move(to))});
    return calls;
  }

  /// Between two neighbouring borders of the set's edges all bytes go to the same states.
  std::vector<Edge> edges_of(const StateSet& set) {
    std::array<int16_t, 257> interval{};  // first 1 at borders, then the number of the interval
    for (const int32_t s : set)
      for (const Edge& e : nfa_.state(s).edges)
        interval[e.first] = interval[static_cast<size_t>(e.last) + 1] = 1;
    std::vector<int> borders;
    for (int i = 0; i < 257; ++i)
      if (std::exchange(interval[static_cast<size_t>(i)], static_cast<int16_t>(borders.size())) !=
          0)
        borders.push_back(i);
    std::vector<StateSet> targets(borders.size());
    for (const int32_t s : set)
      for (const Edge& e : nfa_.state(s).edges)
        for (int i = interval[e.first]; borders[static_cast<size_t>(i)] <= e.last; ++i)
          targets[static_cast<size_t>(i)].push_back(e.target), budget_.spend(1);
    std::vector<Edge> out;
    for (size_t i = 0; i + 1 < borders.size(); ++i)
      if (!targets[i].empty())
        append_edge(borders[i], borders[i + 1] - 1, state_of(std::move(targets[i])), out);
    return out;
  }

  static void append_edge(int first, int last, int32_t target, std::vector<Edge>& out) {
    if (!out.empty() && out.back().target == target && out.back().last + 1 == first)
      out.back().last = static_cast<uint8_t>(last);
    else
      out.push_back({static_cast<uint8_t>(first), static_cast<uint8_t>(last), target});
  }

  const Nfa& nfa_;
  int32_t final_;
  Budget& budget_;
  std::unordered_map<StateSet, int32_t, HashSet> ids_;
  std::vector<const StateSet*> sets_;
  std::vector<int32_t> seen_;  // in which round of close()
  int32_t round_ = 0;
  RuleAutomaton out_;
};

}  // namespace

RuleAutomaton build_automaton(const Grammar& grammar, Expr body, Budget& budget) {
  Nfa nfa(grammar, budget);
  const int32_t end = nfa.append(body, 0);
  return Determinizer(nfa, end, budget).build();
}

Dfa to_dfa(const Grammar& grammar, Expr e, Budget& budget) {
  RuleAutomaton automaton = build_automaton(grammar, e, budget);
  Dfa dfa;
  for (auto& state : automaton.states)
    dfa.states.push_back({std::move(state.edges), state.accepting});
  return without_dead_ends(dfa);
}

}  // namespace moge::grammar
