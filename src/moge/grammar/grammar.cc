#include "moge/grammar/grammar.h"

#include <algorithm>

namespace moge::grammar {

namespace {
constexpr char32_t kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF;
}

CharSet normalized(CharSet set) {
  CharSet cut;
  for (const CharRange& r : set) {
    const char32_t last = std::min(r.last, kLastChar);
    if (r.first < kFirstSurrogate)
      cut.push_back({r.first, std::min<char32_t>(last, kFirstSurrogate - 1)});
    if (last > kLastSurrogate)
      cut.push_back({std::max<char32_t>(r.first, kLastSurrogate + 1), last});
  }
  std::erase_if(cut, [](const CharRange& r) { return r.first > r.last; });
  std::sort(cut.begin(), cut.end(),
            [](const CharRange& a, const CharRange& b) { return a.first < b.first; });
  CharSet out;
  for (const CharRange& r : cut) {
    if (!out.empty() && r.first <= out.back().last + 1)
      out.back().last = std::max(out.back().last, r.last);
    else
      out.push_back(r);
  }
  return out;
}

CharSet complement(const CharSet& set) {
  CharSet out;
  char32_t from = 0;
  for (const CharRange& r : normalized(set)) {
    if (r.first > from) out.push_back({from, r.first - 1});
    from = r.last + 1;
  }
  if (from <= kLastChar) out.push_back({from, kLastChar});
  return normalized(std::move(out));
}

CharSet common(const CharSet& a, const CharSet& b) {
  CharSet either = complement(a);
  const CharSet not_b = complement(b);
  either.insert(either.end(), not_b.begin(), not_b.end());
  return complement(either);
}

Expr Grammar::add(Node node) {
  check(static_cast<int64_t>(nodes_.size()) < kMaxNodes,
        "the grammar is too large: it has more than {} parts", kMaxNodes);
  for (const Expr part : node.parts) node.depth = std::max(node.depth, this->node(part).depth + 1);
  check(node.depth <= 2 * kMaxNesting, "the grammar nests deeper than {}", 2 * kMaxNesting);
  nodes_.push_back(std::move(node));
  return static_cast<Expr>(nodes_.size()) - 1;
}

Expr Grammar::bytes(std::string_view text) {
  return add({.kind = Node::Kind::kBytes, .bytes = std::string(text)});
}

Expr Grammar::chars(CharSet set) {
  return add({.kind = Node::Kind::kChars, .chars = normalized(std::move(set))});
}

Expr Grammar::sequence(std::vector<Expr> parts) {
  if (parts.size() == 1) return parts[0];
  return add({.kind = Node::Kind::kSequence, .parts = std::move(parts)});
}

Expr Grammar::choice(std::vector<Expr> parts) {
  if (parts.size() == 1) return parts[0];
  return add({.kind = Node::Kind::kChoice, .parts = std::move(parts)});
}

Expr Grammar::repeat(Expr part, int32_t least, int32_t most) {
  return add({.kind = Node::Kind::kRepeat, .least = least, .most = most, .parts = {part}});
}

Expr Grammar::call(RuleId rule) { return add({.kind = Node::Kind::kCall, .rule = rule}); }

Expr Grammar::automaton(Dfa dfa) {
  return add({.kind = Node::Kind::kDfa, .dfa = std::make_shared<const Dfa>(std::move(dfa))});
}

Expr Grammar::graph(Graph graph) {
  Node node{.kind = Node::Kind::kGraph};
  for (const Graph::Arrow& arrow : graph.arrows)
    if (arrow.read >= 0) node.depth = std::max(node.depth, this->node(arrow.read).depth + 1);
  node.graph = std::make_shared<const Graph>(std::move(graph));
  return add(std::move(node));
}

RuleId Grammar::add_rule(std::string name) {
  check(static_cast<int64_t>(rules_.size()) < kMaxRules,
        "the grammar is too large: it has more than {} rules", kMaxRules);
  rules_.push_back({.name = std::move(name)});
  return static_cast<RuleId>(rules_.size()) - 1;
}

void Grammar::define(RuleId rule, Expr body) { rules_[static_cast<size_t>(rule)].body = body; }

}  // namespace moge::grammar
