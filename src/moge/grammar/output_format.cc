#include "moge/grammar/output_format.h"

#include <algorithm>

#include "moge/core/error.h"
#include "moge/grammar/gbnf.h"
#include "moge/grammar/json_rules.h"
#include "moge/grammar/json_schema.h"
#include "moge/grammar/regex.h"
#include "moge/text/utf8.h"

namespace moge::grammar {

namespace {

constexpr double kPrepareMs = 100;  // masks found before the first token needs them

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

}  // namespace

Grammar to_grammar(const OutputFormat& format, Budget& budget) {
  switch (format.kind) {
    case OutputFormat::Kind::kJsonObject:
      return json_object_grammar();
    case OutputFormat::Kind::kJsonSchema:
      return parse_json_schema(format.text, budget);
    case OutputFormat::Kind::kRegex:
      return one_rule([&](Grammar& g) { return add_regex(g, format.text, {}); });
    case OutputFormat::Kind::kChoice:
      return one_rule([&](Grammar& g) { return add_choices(g, format.choices); });
    case OutputFormat::Kind::kGbnf:
      break;
  }
  return parse_gbnf(format.text);
}

std::shared_ptr<const CompiledGrammar> GrammarCache::find(const OutputFormat& format) {
  std::lock_guard lock(mutex_);
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& e) { return e.format == format; });
  if (found == entries_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found);
  return found->grammar;
}

/// Two threads may compile the same format at once; both results are good.
std::shared_ptr<const CompiledGrammar> GrammarCache::get(const OutputFormat& format) {
  if (auto known = find(format)) return known;
  Budget budget;
  const Grammar grammar = to_grammar(format, budget);
  auto compiled = std::make_shared<const CompiledGrammar>(grammar, vocabulary_, budget);
  compiled->prepare(kPrepareMs);
  std::lock_guard lock(mutex_);
  entries_.push_front({format, compiled});
  if (entries_.size() > capacity_) entries_.pop_back();
  return compiled;
}

}  // namespace moge::grammar
