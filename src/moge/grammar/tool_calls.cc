#include "moge/grammar/tool_calls.h"

#include <nlohmann/json.hpp>

#include "moge/grammar/json_rules.h"
#include "moge/grammar/json_schema.h"

namespace moge::grammar {

namespace {

Expr add_arguments(Grammar& grammar, const ToolCalls::Tool& tool, Budget& budget) {
  try {
    return add_json_schema(grammar, tool.schema, budget);
  } catch (const Error& error) {
    fail("the parameters of {}: {}", tool.name, error.what());
  }
}

/// {"name": "f", "arguments": {...}}
Expr add_call(Grammar& grammar, JsonRules& rules, const ToolCalls& calls,
              const ToolCalls::Tool& tool, Budget& budget) {
  const auto quoted = [&](const std::string& text) {
    return grammar.bytes(nlohmann::json(text).dump());
  };
  return grammar.sequence({grammar.bytes("{\"name\":"), rules.space(), quoted(tool.name),
                           rules.comma(), quoted(calls.arguments_key), rules.colon(),
                           add_arguments(grammar, tool, budget), grammar.bytes("}")});
}

}  // namespace

RuleId add_tool_calls(Grammar& grammar, const ToolCalls& calls, Budget& budget) {
  check(!calls.tools.empty(), "there is no tool to call");
  check(calls.most >= 1 && calls.most <= kMaxRepeat, "{} calls at most, want 1 to {}", calls.most,
        kMaxRepeat);
  const RuleId all = grammar.add_rule("the calls");
  JsonRules rules(grammar);
  std::vector<Expr> any;
  for (const ToolCalls::Tool& tool : calls.tools)
    any.push_back(add_call(grammar, rules, calls, tool, budget));
  const RuleId call = grammar.add_rule("a call");
  grammar.define(call, grammar.choice(std::move(any)));
  const Expr more = grammar.sequence({grammar.bytes(calls.between), grammar.call(call)});
  grammar.define(
      all, grammar.sequence({grammar.bytes(calls.before), grammar.call(call),
                             grammar.repeat(more, 0, calls.most - 1), grammar.bytes(calls.after)}));
  return all;
}

}  // namespace moge::grammar
