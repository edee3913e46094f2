#include "moge/grammar/state_classes.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

namespace moge::grammar {

namespace {

constexpr int kMaxChain = 64;

/// Calls that can follow each other before a byte is read, at most; -1: more than kMaxChain.
int longest_chain(const Automaton& a, Budget& budget) {
  std::vector<int> chain(static_cast<size_t>(a.num_states()));
  for (int round = 0; round <= kMaxChain; ++round) {
    bool changed = false;
    for (int32_t s = 0; s < a.num_states(); ++s)
      for (const CallEdge& call : a.calls(s)) {
        budget.spend(1);
        const int32_t start = a.start(call.rule);
        int behind = chain[static_cast<size_t>(start)];
        if (a.can_end(start)) behind = std::max(behind, chain[static_cast<size_t>(call.target)]);
        if (behind + 1 <= chain[static_cast<size_t>(s)]) continue;
        chain[static_cast<size_t>(s)] = behind + 1;
        changed = true;
      }
    if (!changed) return *std::max_element(chain.begin(), chain.end());
  }
  return -1;
}

/// Moore's refinement, stopped after as many rounds as bytes matter. A round looks again only at
/// states from which the last round's changes can be seen.
class Refinement {
 public:
  Refinement(const Automaton& a, Budget& budget)
      : a_(a),
        budget_(budget),
        class_(static_cast<size_t>(a.num_states())),
        seen_from_(class_.size()) {
    std::map<std::tuple<bool, bool, int32_t>, int32_t> first;
    for (int32_t s = 0; s < a.num_states(); ++s) {
      const auto key = std::tuple(a.accepting(s), a.can_end(s), a.need(s));
      const auto id = static_cast<int32_t>(first.size());
      class_[at(s)] = first.try_emplace(key, id).first->second;
      for (const Edge& edge : a.edges(s)) seen_from_[at(edge.target)].push_back(s);
      for (const CallEdge& call : a.calls(s)) {
        seen_from_[at(call.target)].push_back(s);
        seen_from_[at(a.start(call.rule))].push_back(s);
      }
    }
    sizes_.resize(first.size());
    for (const int32_t c : class_) ++sizes_[at(c)];
  }

  std::vector<int32_t> run(int rounds) {
    std::vector<int32_t> looked_at(class_.size());
    std::iota(looked_at.begin(), looked_at.end(), 0);
    for (int i = 0; i < rounds && !looked_at.empty(); ++i) looked_at = seen_from(refine(looked_at));
    return class_;
  }

 private:
  using Signature = std::vector<int32_t>;
  static size_t at(int32_t s) { return static_cast<size_t>(s); }

  Signature signature(int32_t s) const {
    Signature out{class_[at(s)]};
    for (const Edge& edge : a_.edges(s)) {
      out.push_back(edge.first << 8 | edge.last);
      out.push_back(class_[at(edge.target)]);
    }
    std::vector<std::pair<int32_t, int32_t>> calls;
    for (const CallEdge& call : a_.calls(s))
      calls.emplace_back(class_[at(a_.start(call.rule))], class_[at(call.target)]);
    std::sort(calls.begin(), calls.end());
    for (const auto& [start, after] : calls) out.insert(out.end(), {-1, start, after});
    return out;
  }

  /// Gives numbers of their own to those that differ from the rest of their class; returns them.
  std::vector<int32_t> refine(const std::vector<int32_t>& looked_at) {
    std::map<Signature, std::vector<int32_t>> groups;  // in the order of their classes
    for (const int32_t s : looked_at) {
      Signature key = signature(s);
      budget_.spend(static_cast<int64_t>(key.size()));
      groups[std::move(key)].push_back(s);
    }
    std::map<int32_t, int32_t> members;  // of each class among those looked at
    for (const int32_t s : looked_at) ++members[class_[at(s)]];
    std::vector<int32_t> changed;
    int32_t kept = -1;  // the class that has a group under its old number
    for (const auto& [key, group] : groups) {
      const int32_t c = key[0];
      const bool whole_class = members[c] == sizes_[at(c)];
      if (whole_class && kept != c) {
        kept = c;
        continue;
      }
      changed.insert(changed.end(), group.begin(), group.end());
      moves_.emplace_back(c, group);
    }
    for (const auto& [c, group] : moves_) {
      sizes_[at(c)] -= static_cast<int32_t>(group.size());
      for (const int32_t s : group) class_[at(s)] = static_cast<int32_t>(sizes_.size());
      sizes_.push_back(static_cast<int32_t>(group.size()));
    }
    moves_.clear();
    return changed;
  }

  std::vector<int32_t> seen_from(const std::vector<int32_t>& changed) const {
    std::vector<int32_t> out;
    for (const int32_t s : changed)
      out.insert(out.end(), seen_from_[at(s)].begin(), seen_from_[at(s)].end());
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }

  const Automaton& a_;
  Budget& budget_;
  std::vector<int32_t> class_, sizes_;
  std::vector<std::vector<int32_t>> seen_from_;
  std::vector<std::pair<int32_t, std::vector<int32_t>>> moves_;
};

}  // namespace

std::vector<int32_t> classes_of(const Automaton& automaton, int max_bytes, Budget& budget) {
  const int chain = longest_chain(automaton, budget);
  if (chain >= 0) return Refinement(automaton, budget).run(max_bytes * (chain + 1));
  std::vector<int32_t> each(static_cast<size_t>(automaton.num_states()));
  std::iota(each.begin(), each.end(), 0);
  return each;
}

}  // namespace moge::grammar
