// Strings of a schema: lengths, patterns, formats.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "moge/grammar/json_rules.h"
#include "moge/grammar/schema_facts.h"

namespace moge::grammar {

class SchemaStrings {
 public:
  SchemaStrings(Grammar& grammar, JsonRules& rules, Budget& budget)
      : grammar_(grammar), rules_(rules), budget_(budget) {}

  /// Strings with their quotes.
  Expr add(const Facts& facts);
  /// The same as an automaton, without the quotes; characters are spelled in one way each.
  Dfa contents(const Facts& facts);
  /// A pattern's texts, likewise.
  const Dfa& pattern(const std::string& regex);
  /// Whether a text has the lengths and patterns.
  bool admits(const Facts& facts, std::string_view text);

 private:
  Dfa any_contents(int32_t least, int32_t most);

  Grammar& grammar_;
  JsonRules& rules_;
  Budget& budget_;
  std::map<std::string, Dfa> patterns_;
  std::map<std::string, RuleId> ids_;  // by what is asked
};

}  // namespace moge::grammar
