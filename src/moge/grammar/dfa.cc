#include "moge/grammar/dfa.h"

#include <map>
#include <utility>

namespace moge::grammar {

namespace {

/// States of two automata side by side; -1 in the second: it has no such text.
class Product {
 public:
  Product(const Dfa& a, const Dfa& b, bool subtracts, Budget& budget)
      : a_(a), b_(b), subtracts_(subtracts), budget_(budget) {}

  Dfa build() {
    state_of({0, 0});
    for (size_t i = 0; i < pairs_.size(); ++i) expand(static_cast<int32_t>(i));
    return without_dead_ends(out_);
  }

 private:
  using Pair = std::pair<int32_t, int32_t>;

  int32_t state_of(Pair pair) {
    const auto [found, is_new] = ids_.try_emplace(pair, static_cast<int32_t>(pairs_.size()));
    if (is_new) {
      budget_.spend(60);
      check(static_cast<int64_t>(pairs_.size()) < kMaxStates,
            "the grammar is too large: it has more than {} states", kMaxStates);
      pairs_.push_back(pair);
      const bool in_b = pair.second >= 0 && b_.states[static_cast<size_t>(pair.second)].accepting;
      const bool in_a = a_.states[static_cast<size_t>(pair.first)].accepting;
      out_.states.push_back({.accepting = in_a && in_b != subtracts_});
    }
    return found->second;
  }

  /// Cuts every edge of `a` where an edge of `b` begins or ends.
  void expand(int32_t id) {
    const auto [a, b] = pairs_[static_cast<size_t>(id)];
    std::vector<Edge> edges;
    for (const Edge& edge : a_.states[static_cast<size_t>(a)].edges) {
      int from = edge.first;
      while (from <= edge.last) {
        const auto [target, to] = piece_of_b(b, from, edge.last);
        if (target >= 0 || subtracts_)
          edges.push_back({static_cast<uint8_t>(from), static_cast<uint8_t>(to),
                           state_of({edge.target, target})});
        budget_.spend(1);
        from = to + 1;
      }
    }
    out_.states[static_cast<size_t>(id)].edges = std::move(edges);
  }

  /// Where `b` goes from byte `from` on, and the last byte up to `last` for which that is so.
  std::pair<int32_t, int> piece_of_b(int32_t b, int from, int last) const {
    if (b < 0) return {-1, last};
    for (const Edge& edge : b_.states[static_cast<size_t>(b)].edges) {
      if (edge.last < from) continue;
      if (edge.first > last) break;
      if (edge.first > from) return {-1, edge.first - 1};
      return {edge.target, edge.last < last ? edge.last : last};
    }
    return {-1, last};
  }

  const Dfa& a_;
  const Dfa& b_;
  bool subtracts_;
  Budget& budget_;
  std::map<Pair, int32_t> ids_;
  std::vector<Pair> pairs_;
  Dfa out_;
};

std::vector<bool> live_states(const Dfa& dfa) {
  std::vector<std::vector<int32_t>> before(dfa.states.size());
  std::vector<int32_t> queue;
  std::vector<bool> live(dfa.states.size());
  for (size_t s = 0; s < dfa.states.size(); ++s) {
    for (const Edge& edge : dfa.states[s].edges)
      before[static_cast<size_t>(edge.target)].push_back(static_cast<int32_t>(s));
    if (!dfa.states[s].accepting) continue;
    live[s] = true;
    queue.push_back(static_cast<int32_t>(s));
  }
  for (size_t i = 0; i < queue.size(); ++i)
    for (const int32_t s : before[static_cast<size_t>(queue[i])]) {
      if (live[static_cast<size_t>(s)]) continue;
      live[static_cast<size_t>(s)] = true;
      queue.push_back(s);
    }
  return live;
}

}  // namespace

int32_t Dfa::next(int32_t state, uint8_t byte) const {
  for (const Edge& edge : states[static_cast<size_t>(state)].edges)
    if (byte <= edge.last) return byte >= edge.first ? edge.target : -1;
  return -1;
}

bool Dfa::matches(std::string_view text) const {
  int32_t state = 0;
  for (const char c : text)
    if ((state = next(state, static_cast<uint8_t>(c))) < 0) return false;
  return states[static_cast<size_t>(state)].accepting;
}

Dfa intersect(const Dfa& a, const Dfa& b, Budget& budget) {
  return Product(a, b, /*subtracts=*/false, budget).build();
}

Dfa subtract(const Dfa& a, const Dfa& b, Budget& budget) {
  return Product(a, b, /*subtracts=*/true, budget).build();
}

Dfa without_dead_ends(const Dfa& dfa) {
  const std::vector<bool> live = live_states(dfa);
  std::vector<int32_t> id(dfa.states.size(), -1);
  Dfa out;
  for (size_t s = 0; s < dfa.states.size(); ++s) {
    if (!live[s] && s != 0) continue;
    id[s] = static_cast<int32_t>(out.states.size());
    out.states.push_back({.accepting = dfa.states[s].accepting});
  }
  for (size_t s = 0; s < dfa.states.size(); ++s) {
    if (id[s] < 0) continue;
    for (const Edge& edge : dfa.states[s].edges)
      if (live[static_cast<size_t>(edge.target)])
        out.states[static_cast<size_t>(id[s])].edges.push_back(
            {edge.first, edge.last, id[static_cast<size_t>(edge.target)]});
  }
  return out;
}

bool is_empty(const Dfa& dfa) {
  return dfa.states.empty() || (dfa.states[0].edges.empty() && !dfa.states[0].accepting);
}

}  // namespace moge::grammar
