#include "moge/grammar/json_rules.h"

#include "moge/grammar/number.h"

namespace moge::grammar {

namespace {

const CharSet kHex{{'0', '9'}, {'A', 'F'}, {'a', 'f'}};
const CharSet kPlainAscii{{' ', '!'}, {'#', '['}, {']', 0x7F}};

/// What follows a backslash. A surrogate comes as one of a pair only.
Expr escape(Grammar& g) {
  const auto hex = [&](int count) { return g.repeat(g.chars(kHex), count, count); };
  const Expr low =
      g.sequence({g.chars({{'D', 'D'}, {'d', 'd'}}), g.chars({{'C', 'F'}, {'c', 'f'}}), hex(2)});
  const Expr pair =
      g.sequence({g.chars({{'D', 'D'}, {'d', 'd'}}), g.chars({{'8', '9'}, {'A', 'B'}, {'a', 'b'}}),
                  hex(2), g.bytes("\\u"), low});
  const Expr other = g.choice(
      {g.sequence({g.chars({{'0', '9'}, {'A', 'C'}, {'E', 'F'}, {'a', 'c'}, {'e', 'f'}}), hex(3)}),
       g.sequence({g.chars({{'D', 'D'}, {'d', 'd'}}), g.chars({{'0', '7'}}), hex(2)})});
  const CharSet letters{{'"', '"'}, {'/', '/'}, {'\\', '\\'}, {'b', 'b'},
                        {'f', 'f'}, {'n', 'n'}, {'r', 'r'},   {'t', 't'}};
  return g.choice({g.chars(letters), g.sequence({g.bytes("u"), g.choice({pair, other})})});
}

}  // namespace

Expr JsonRules::long_char() {
  return grammar_.choice({grammar_.chars({{0x80, kLastChar}}),
                          grammar_.sequence({grammar_.bytes("\\"), escape(grammar_)})});
}

/// Counted strings need a state per character; the long ways to write one are a rule of their own.
Expr JsonRules::string_char() {
  if (long_char_ < 0) {
    long_char_ = grammar_.add_rule("character");
    grammar_.define(long_char_, long_char());
  }
  return grammar_.choice({grammar_.chars(kPlainAscii), grammar_.call(long_char_)});
}

Expr JsonRules::string() {
  if (string_ < 0) {
    string_ = grammar_.add_rule("string");
    const Expr plain = grammar_.choice({grammar_.chars(kPlainAscii), long_char()});
    grammar_.define(string_, grammar_.sequence({grammar_.bytes("\""), grammar_.repeat(plain, 0),
                                                grammar_.bytes("\"")}));
  }
  return grammar_.call(string_);
}

Expr JsonRules::string_of_length(int32_t least, int32_t most) {
  if (least == 0 && most < 0) return string();
  return grammar_.sequence(
      {grammar_.bytes("\""), grammar_.repeat(string_char(), least, most), grammar_.bytes("\"")});
}

Expr JsonRules::integer() {
  if (integer_ < 0) {
    integer_ = grammar_.add_rule("integer");
    Budget budget;
    grammar_.define(integer_, grammar_.automaton(number_dfa({.integer = true}, budget)));
  }
  return grammar_.call(integer_);
}

Expr JsonRules::number() {
  if (number_ >= 0) return grammar_.call(number_);
  number_ = grammar_.add_rule("number");
  Grammar& g = grammar_;
  const Expr digit = g.chars({{'0', '9'}});
  const Expr whole =
      g.choice({g.bytes("0"), g.sequence({g.chars({{'1', '9'}}), g.repeat(digit, 0, 14)})});
  const Expr fraction = g.sequence({g.bytes("."), g.repeat(digit, 1, 15)});
  const Expr exponent =
      g.sequence({g.chars({{'E', 'E'}, {'e', 'e'}}), g.optional(g.chars({{'+', '+'}, {'-', '-'}})),
                  g.repeat(digit, 1, 2)});
  g.define(number_, g.sequence({g.optional(g.bytes("-")), whole, g.optional(fraction),
                                g.optional(exponent)}));
  return g.call(number_);
}

Expr JsonRules::list(char open, Expr item, char close) {
  Grammar& g = grammar_;
  const Expr more = g.repeat(g.sequence({comma(), item}), 0);
  return g.sequence({g.bytes(std::string_view(&open, 1)), space(),
                     g.optional(g.sequence({item, more, space()})),
                     g.bytes(std::string_view(&close, 1))});
}

RuleId JsonRules::object_rule() {
  if (object_ >= 0) return object_;
  object_ = grammar_.add_rule("object");
  const Expr member = grammar_.sequence({string(), colon(), value()});
  grammar_.define(object_, list('{', member, '}'));
  return object_;
}

RuleId JsonRules::value_rule() {
  if (value_ >= 0) return value_;
  value_ = grammar_.add_rule("value");
  array_ = grammar_.add_rule("array");
  grammar_.define(array_, list('[', value(), ']'));
  grammar_.define(value_, grammar_.choice({object(), grammar_.call(array_), string(), number(),
                                           boolean(), null()}));
  return value_;
}

Grammar json_object_grammar() {
  Grammar grammar;
  grammar.root = grammar.add_rule("root");
  JsonRules rules(grammar);
  grammar.define(grammar.root, grammar.sequence({rules.space(), rules.object()}));
  return grammar;
}

}  // namespace moge::grammar
