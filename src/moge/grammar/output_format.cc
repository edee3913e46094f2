#include "moge/grammar/output_format.h"

#include "moge/core/error.h"
#include "moge/grammar/gbnf.h"
#include "moge/grammar/json_rules.h"
#include "moge/grammar/json_schema.h"
#include "moge/grammar/regex.h"
#include "moge/text/utf8.h"

namespace moge::grammar {

namespace {

Grammar one_rule(const auto& make_body) {
  Grammar grammar;
  grammar.root = grammar.add_rule("root");
  grammar.define(grammar.root, make_body(grammar));
  return grammar;
}

Expr add_choices(Grammar& grammar, const std::vector<std::string>& choices) {
  check(!choices.empty(), "the list of choices is empty");
  std::vector<Expr> parts;
  for (const std::string& choice : choices) {
    check(text::is_valid_utf8(choice), "a choice is not UTF-8");
    parts.push_back(grammar.bytes(choice));
  }
  return grammar.choice(std::move(parts));
}

Grammar calls_grammar(const ToolCalls& calls, Budget& budget) {
  Grammar grammar;
  grammar.root = add_tool_calls(grammar, calls, budget);
  return grammar;
}

Grammar without_preamble(const OutputFormat& format, Budget& budget) {
  switch (format.kind) {
    case OutputFormat::Kind::kJsonObject:
      return json_object_grammar();
    case OutputFormat::Kind::kJsonSchema:
      return parse_json_schema(format.text, budget);
    case OutputFormat::Kind::kRegex:
      return one_rule([&](Grammar& g) { return add_regex(g, format.text, {}); });
    case OutputFormat::Kind::kChoice:
      return one_rule([&](Grammar& g) { return add_choices(g, format.choices); });
    case OutputFormat::Kind::kToolCalls:
      return calls_grammar(format.calls, budget);
    case OutputFormat::Kind::kGbnf:
      break;
  }
  return parse_gbnf(format.text);
}

/// Text up to the first end marker, with it and the blanks behind it.
Expr add_preamble(Grammar& grammar, const OutputFormat::Preamble& preamble, Budget& budget) {
  Grammar scratch;
  const Expr any = scratch.repeat(scratch.chars(complement({})), 0);
  const Dfa all = to_dfa(scratch, any, budget);
  const Dfa marked =
      to_dfa(scratch, scratch.sequence({any, scratch.bytes(preamble.end), any}), budget);
  const Expr blank = grammar.chars({{'\n', '\n'}, {' ', ' '}});
  std::vector<Expr> parts{grammar.automaton(subtract(all, marked, budget)),
                          grammar.bytes(preamble.end), grammar.repeat(blank, 0, 2)};
  if (!preamble.open) parts.insert(parts.begin(), grammar.bytes(preamble.begin));
  const Expr e = grammar.sequence(std::move(parts));
  return preamble.open ? e : grammar.optional(e);
}

}  // namespace

Grammar to_grammar(const OutputFormat& format, Budget& budget) {
  Grammar grammar = without_preamble(format, budget);
  if (format.may_call) {
    const RuleId calls = add_tool_calls(grammar, format.calls, budget);
    const Expr either = grammar.choice({grammar.call(grammar.root), grammar.call(calls)});
    grammar.root = grammar.add_rule("the answer");
    grammar.define(grammar.root, either);
  }
  if (format.preamble.end.empty()) return grammar;
  const Expr body = grammar.call(grammar.root);
  grammar.root = grammar.add_rule("the output");
  grammar.define(grammar.root,
                 grammar.sequence({add_preamble(grammar, format.preamble, budget), body}));
  return grammar;
}

}  // namespace moge::grammar
