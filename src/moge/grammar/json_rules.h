// JSON as rules: white space of at most one blank, numbers of at most 15 digits, strings whose
// escapes name characters.
#pragma once

#include <cstdint>

#include "moge/grammar/grammar.h"

namespace moge::grammar {

/// The rules that every schema shares; each is made when it is first asked for.
class JsonRules {
 public:
  explicit JsonRules(Grammar& grammar) : grammar_(grammar) {}

  Expr space() { return grammar_.optional(grammar_.bytes(" ")); }
  Expr value() { return grammar_.call(value_rule()); }
  Expr object() { return grammar_.call(object_rule()); }
  Expr string();
  Expr number();
  Expr integer();
  Expr boolean() { return grammar_.choice({grammar_.bytes("true"), grammar_.bytes("false")}); }
  Expr null() { return grammar_.bytes("null"); }
  /// A string of so many characters; most = -1: no bound.
  Expr string_of_length(int32_t least, int32_t most);
  /// Items from `[` to `]` (or other brackets): between them a comma, and blanks where JSON has
  /// them.
  Expr list(char open, Expr item, char close);
  Expr comma() { return grammar_.sequence({grammar_.bytes(","), space()}); }
  Expr colon() { return grammar_.sequence({grammar_.bytes(":"), space()}); }

 private:
  RuleId value_rule();
  RuleId object_rule();
  Expr string_char();
  Expr long_char();

  Grammar& grammar_;
  RuleId value_ = -1, object_ = -1, array_ = -1, string_ = -1, number_ = -1, integer_ = -1,
         long_char_ = -1;
};

/// Any JSON object.
Grammar json_object_grammar();

}  // namespace moge::grammar
