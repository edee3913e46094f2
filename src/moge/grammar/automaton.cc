#include "moge/grammar/automaton.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <string>
#include <utility>

namespace moge::grammar {

namespace {
constexpr int32_t kNever = std::numeric_limits<int32_t>::max();
constexpr int32_t kLongestRun = 1 << 10;  // longer than any token
}  // namespace

/// Builds the rules that the root reaches, then looks at all states together.
class Assembler {
 public:
  Assembler(const Grammar& grammar, Budget& budget) : grammar_(grammar), budget_(budget) {}

  void build(Automaton& out) {
    number_of(grammar_.root);
    for (size_t i = 0; i < rules_.size(); ++i) add_rule(i);
    find_needs();
    check(needs_[0] <= kMaxDepth, "{}",
          needs_[0] == kNever ? std::string("no text at all matches the grammar")
                              : fmt::format("the grammar's shortest text needs {} rules within "
                                            "rules, at most {} are allowed",
                                            needs_[0], kMaxDepth));
    drop_dead_ends();
    find_ends();
    refuse_left_recursion();
    write(out);
  }

 private:
  using State = RuleAutomaton::State;
  State& at(int32_t s) { return states_[static_cast<size_t>(s)]; }
  int32_t start_of(RuleId rule) const { return start_[static_cast<size_t>(rule)]; }

  /// Rules get new numbers, in the order in which they are reached; the root's is 0.
  RuleId number_of(RuleId rule) {
    if (number_.empty()) number_.assign(grammar_.rules().size(), -1);
    RuleId& number = number_[static_cast<size_t>(rule)];
    if (number < 0) {
      number = static_cast<RuleId>(rules_.size());
      rules_.push_back(rule);
    }
    return number;
  }

  void add_rule(size_t i) {
    const Grammar::Rule& rule = grammar_.rules()[static_cast<size_t>(rules_[i])];
    RuleAutomaton automaton = build_automaton(grammar_, rule.body, budget_);
    const auto base = static_cast<int32_t>(states_.size());
    check(base + static_cast<int64_t>(automaton.states.size()) <= kMaxStates,
          "the grammar is too large: it has more than {} states", kMaxStates);
    start_.push_back(base);
    for (State& state : automaton.states) {
      for (Edge& edge : state.edges) edge.target += base;
      for (CallEdge& call : state.calls) call = {number_of(call.rule), call.target + base};
      states_.push_back(std::move(state));
    }
  }

  /// How a state's need follows from others: by an edge, or by a call and the place behind it.
  struct Use {
    int32_t state, target;
    RuleId rule;  // -1: an edge
  };

  /// Dijkstra's order: the state with the least need first, so that each need is final when met.
  void find_needs() {
    needs_.assign(states_.size(), kNever);
    std::vector<std::vector<Use>> uses(states_.size());
    std::priority_queue<std::pair<int32_t, int32_t>, std::vector<std::pair<int32_t, int32_t>>,
                        std::greater<>>
        queue;
    for (int32_t s = 0; s < static_cast<int32_t>(states_.size()); ++s) {
      for (const Edge& e : at(s).edges)
        uses[static_cast<size_t>(e.target)].push_back({s, e.target, -1});
      for (const CallEdge& c : at(s).calls) {
        uses[static_cast<size_t>(c.target)].push_back({s, c.target, c.rule});
        uses[static_cast<size_t>(start_of(c.rule))].push_back({s, c.target, c.rule});
      }
      if (at(s).accepting) queue.push({0, s});
    }
    while (!queue.empty()) {
      const auto [need, s] = queue.top();
      queue.pop();
      budget_.spend(1);
      if (needs_[static_cast<size_t>(s)] <= need) continue;
      needs_[static_cast<size_t>(s)] = need;
      for (const Use& use : uses[static_cast<size_t>(s)]) {
        const int32_t by_use = need_of(use);
        if (by_use < needs_[static_cast<size_t>(use.state)]) queue.push({by_use, use.state});
      }
    }
  }

  int32_t need_of(const Use& use) const {
    const int32_t after = needs_[static_cast<size_t>(use.target)];
    if (use.rule < 0) return after;
    const int32_t inside = needs_[static_cast<size_t>(start_of(use.rule))];
    return after == kNever || inside == kNever ? kNever : std::max(after, inside + 1);
  }

  void drop_dead_ends() {
    const auto lives = [&](int32_t s) { return needs_[static_cast<size_t>(s)] <= kMaxDepth; };
    for (State& state : states_) {
      std::erase_if(state.edges, [&](const Edge& e) { return !lives(e.target); });
      std::erase_if(state.calls, [&](const CallEdge& c) {
        return !lives(c.target) || !lives(start_of(c.rule));
      });
    }
  }

  void find_ends() {
    ends_.assign(states_.size(), false);
    std::vector<std::vector<Use>> uses(states_.size());
    std::vector<int32_t> queue;
    for (int32_t s = 0; s < static_cast<int32_t>(states_.size()); ++s) {
      for (const CallEdge& c : at(s).calls) {
        uses[static_cast<size_t>(c.target)].push_back({s, c.target, c.rule});
        uses[static_cast<size_t>(start_of(c.rule))].push_back({s, c.target, c.rule});
      }
      if (at(s).accepting) ends_[static_cast<size_t>(s)] = true, queue.push_back(s);
    }
    for (size_t i = 0; i < queue.size(); ++i)
      for (const Use& use : uses[static_cast<size_t>(queue[i])]) {
        if (ends_[static_cast<size_t>(use.state)] || !ends_[static_cast<size_t>(use.target)] ||
            !ends_[static_cast<size_t>(start_of(use.rule))])
          continue;
        ends_[static_cast<size_t>(use.state)] = true;
        queue.push_back(use.state);
      }
  }

  /// Rules that `rule` may call before it has read a byte.
  std::vector<RuleId> first_calls(RuleId rule) {
    std::vector<RuleId> out;
    std::vector<int32_t> queue{start_of(rule)};
    for (size_t i = 0; i < queue.size(); ++i)
      for (const CallEdge& call : at(queue[i]).calls) {
        budget_.spend(1);
        out.push_back(call.rule);
        if (ends_[static_cast<size_t>(start_of(call.rule))] &&
            std::find(queue.begin(), queue.end(), call.target) == queue.end())
          queue.push_back(call.target);
      }
    return out;
  }

  void refuse_left_recursion() {
    enum class Mark : uint8_t { kNew, kOpen, kDone };
    std::vector<Mark> marks(rules_.size(), Mark::kNew);
    struct Visit {
      RuleId rule;
      std::vector<RuleId> calls;
    };
    for (RuleId root = 0; root < static_cast<RuleId>(rules_.size()); ++root) {
      if (marks[static_cast<size_t>(root)] != Mark::kNew) continue;
      std::vector<Visit> path{{root, first_calls(root)}};
      marks[static_cast<size_t>(root)] = Mark::kOpen;
      while (!path.empty()) {
        if (path.back().calls.empty()) {
          marks[static_cast<size_t>(path.back().rule)] = Mark::kDone;
          path.pop_back();
          continue;
        }
        const RuleId next = path.back().calls.back();
        path.back().calls.pop_back();
        Mark& mark = marks[static_cast<size_t>(next)];
        check(mark != Mark::kOpen, "{} calls itself before it reads anything",
              grammar_.rules()[static_cast<size_t>(rules_[static_cast<size_t>(next)])].name);
        if (mark == Mark::kDone) continue;
        mark = Mark::kOpen;
        path.push_back({next, first_calls(next)});
      }
    }
  }

  void write(Automaton& out) {
    out.start_ = std::move(start_);
    for (size_t s = 0; s < states_.size(); ++s) {
      const State& state = states_[s];
      out.facts_.push_back({state.accepting, ends_[s], needs_[s]});
      out.edges_begin_.push_back(out.edges_.size());
      out.calls_begin_.push_back(out.calls_.size());
      out.edges_.insert(out.edges_.end(), state.edges.begin(), state.edges.end());
      out.calls_.insert(out.calls_.end(), state.calls.begin(), state.calls.end());
    }
    out.edges_begin_.push_back(out.edges_.size());
    out.calls_begin_.push_back(out.calls_.size());
  }

  const Grammar& grammar_;
  Budget& budget_;
  std::vector<RuleId> number_, rules_;  // of the grammar's rules; the grammar's numbers
  std::vector<int32_t> start_, needs_;
  std::vector<bool> ends_;
  std::vector<State> states_;
};

Automaton::Automaton(const Grammar& grammar, Budget& budget) {
  Assembler(grammar, budget).build(*this);
  find_reads(budget);
  find_runs(budget);
}

/// Of the target that most bytes lead to.
Automaton::Run Automaton::one_byte_run(int32_t s) const {
  Run run;
  const auto bytes_to = [&](int32_t target) {
    int count = 0;
    for (const Edge& edge : edges(s))
      if (edge.target == target) count += edge.last - edge.first + 1;
    return count;
  };
  for (int most = 0; const Edge& edge : edges(s))
    if (const int count = bytes_to(edge.target); count > most && need(edge.target) <= need(s)) {
      most = count;
      run = {.length = 1, .target = edge.target};
    }
  if (run.target < 0) return run;
  run.bytes = ~ByteClasses{0};
  for (int b = 0; b < 256; ++b)
    if (next(s, static_cast<uint8_t>(b)) != run.target)
      run.bytes &= ~class_of(static_cast<uint8_t>(b));
  return run;
}

/// A run goes on in its target's where that has all its bytes. Each state is reached from those
/// that run into it, the longest run's last state first.
void Automaton::find_runs(Budget& budget) {
  for (int32_t s = 0; s < num_states(); ++s) {
    const auto count = static_cast<int64_t>(edges(s).size());
    budget.spend(4 + count * count / 16);
    runs_.push_back(one_byte_run(s));
  }
  const auto goes_on = [&](const Run& run) {
    return run.target >= 0 && (run.bytes & ~runs_[at(run.target)].bytes) == 0;
  };
  std::vector<bool> done(runs_.size());
  std::vector<int32_t> path;
  for (int32_t s = 0; s < num_states(); ++s) {
    for (int32_t next = s; !done[at(next)]; next = runs_[at(next)].target) {
      done[at(next)] = true;
      path.push_back(next);
      if (!goes_on(runs_[at(next)])) break;
    }
    for (; !path.empty(); path.pop_back()) {
      Run& run = runs_[at(path.back())];
      if (run.target == path.back()) {
        run.length = kLongestRun;
      } else if (goes_on(run)) {
        run.length = std::min(kLongestRun, 1 + runs_[at(run.target)].length);
      }
    }
  }
}

/// What a call reads first is what its rule reads first, by edges or by calls of its own; and,
/// where that rule may read nothing, what comes behind the call.
void Automaton::find_reads(Budget& budget) {
  for (Facts& facts : facts_) {
    const auto s = static_cast<int32_t>(&facts - facts_.data());
    if (calls(s).empty()) continue;
    facts.reads = static_cast<int32_t>(reads_.size());
    reads_.emplace_back();
  }
  const auto add_first = [&](int32_t from, ByteSet& to) {
    for (const Edge& edge : edges(from))
      for (int b = edge.first; b <= edge.last; ++b) to[at(b / 64)] |= uint64_t{1} << (b % 64);
    if (const int32_t i = facts_[at(from)].reads; i >= 0)
      for (size_t k = 0; k < to.size(); ++k) to[k] |= reads_[at(i)][k];
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (int32_t s = 0; s < num_states(); ++s) {
      if (calls(s).empty()) continue;
      ByteSet set{};
      for (const CallEdge& call : calls(s)) {
        budget.spend(4);
        add_first(start(call.rule), set);
        if (can_end(start(call.rule))) add_first(call.target, set);
      }
      changed = changed || set != reads_[at(facts_[at(s)].reads)];
      reads_[at(facts_[at(s)].reads)] = set;
    }
  }
}

}  // namespace moge::grammar
