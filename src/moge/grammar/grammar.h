// The one form behind every kind of structured output: rules over characters and bytes that may
// call each other. JSON Schema, regular expressions, choices and GBNF are all turned into it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "moge/grammar/dfa.h"

namespace moge::grammar {

using Expr = int32_t;    ///< an expression of a Grammar
using RuleId = int32_t;  ///< a rule of a Grammar

struct CharRange {
  char32_t first = 0, last = 0;  ///< code points, both included
};
using CharSet = std::vector<CharRange>;

inline constexpr char32_t kLastChar = 0x10FFFF;

/// In order, without overlaps and without surrogates, which UTF-8 has not.
CharSet normalized(CharSet set);
/// Every other character.
CharSet complement(const CharSet& set);
/// Characters of both.
CharSet common(const CharSet& a, const CharSet& b);

/// Expressions as the edges of a graph, for what sequences and choices cannot say without copies.
/// Starts at place 0, ends at the last place.
struct Graph {
  struct Arrow {
    int32_t from = 0, to = 0;
    Expr read = -1;  ///< -1: nothing
  };
  int32_t places = 1;
  std::vector<Arrow> arrows;
};

struct Node {
  enum class Kind : uint8_t { kBytes, kChars, kSequence, kChoice, kRepeat, kCall, kDfa, kGraph };
  Kind kind = Kind::kBytes;
  int depth = 1;                       // of the expression, bounded by kMaxNesting
  int32_t least = 0, most = 0;         // kRepeat; most = -1: no bound
  RuleId rule = -1;                    // kCall
  std::string bytes;                   // kBytes
  CharSet chars;                       // kChars
  std::vector<Expr> parts;             // kSequence, kChoice, kRepeat
  std::shared_ptr<const Dfa> dfa;      // kDfa; shared, so that nodes can be copied
  std::shared_ptr<const Graph> graph;  // kGraph, likewise
};

class Grammar {
 public:
  Expr bytes(std::string_view text);
  Expr chars(CharSet set);  ///< one character, as UTF-8
  Expr sequence(std::vector<Expr> parts);
  Expr choice(std::vector<Expr> parts);  ///< none of none: nothing matches
  Expr repeat(Expr part, int32_t least, int32_t most = -1);
  Expr optional(Expr part) { return repeat(part, 0, 1); }
  Expr call(RuleId rule);
  Expr automaton(Dfa dfa);
  Expr graph(Graph graph);

  RuleId add_rule(std::string name);  ///< to be defined later
  void define(RuleId rule, Expr body);

  struct Rule {
    std::string name;
    Expr body = -1;
  };
  const Node& node(Expr e) const { return nodes_[static_cast<size_t>(e)]; }
  const std::vector<Rule>& rules() const { return rules_; }
  RuleId root = 0;

 private:
  Expr add(Node node);
  std::vector<Node> nodes_;
  std::vector<Rule> rules_;
};

/// The automaton of an expression without calls.
Dfa to_dfa(const Grammar& grammar, Expr e, Budget& budget);

}  // namespace moge::grammar
