#include "moge/grammar/json_schema.h"

#include <algorithm>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "moge/grammar/json_rules.h"
#include "moge/grammar/regex.h"
#include "moge/grammar/schema_facts.h"
#include "moge/grammar/schema_objects.h"
#include "moge/grammar/schema_strings.h"
#include "moge/grammar/schema_values.h"

namespace moge::grammar {

namespace {

class Compiler {
 public:
  Compiler(Grammar& grammar, std::string_view schema, Budget& budget)
      : document_(schema),
        budget_(budget),
        grammar_(grammar),
        rules_(grammar),
        strings_(grammar, rules_, budget) {}

  Expr compile() {
    const Expr whole = value({&document_.root()});
    while (!pending_.empty()) {
      const auto [rule, parts] = std::move(pending_.front());
      pending_.pop_front();
      grammar_.define(rule, body(*parts));
    }
    return whole;
  }

 private:
  Expr nothing() { return grammar_.choice({}); }

  Expr value(const std::vector<const Json*>& schemas) {
    const std::optional<Parts> parts = document_.expand(schemas);
    if (!parts) return nothing();
    return parts->empty() ? rules_.value() : value_of(*parts);
  }

  /// Scalars are written where they stand; what holds other values is a rule.
  Expr value_of(const Parts& parts) {
    budget_.spend(50 * static_cast<int64_t>(parts.size()));
    if (!choice_of(parts)) {
      const Facts facts = gather(document_, parts);
      if (!facts.value_sets.empty() || (facts.types & (kObject | kArray)) == 0)
        return values_or_types(parts, facts);
    }
    const auto [known, is_new] = ids_.try_emplace(parts, RuleId{-1});
    if (is_new) {
      known->second = grammar_.add_rule("the schema at " + document_.path_of(*parts[0].schema));
      pending_.emplace_back(known->second, &known->first);
    }
    return grammar_.call(known->second);
  }

  struct Choice {
    size_t part;
    const char* key;
  };
  /// The first anyOf or oneOf of which no alternative has been chosen.
  static std::optional<Choice> choice_of(const Parts& parts) {
    for (size_t i = 0; i < parts.size(); ++i) {
      if (!parts[i].any_of_chosen && parts[i].schema->contains("anyOf")) return Choice{i, "anyOf"};
      if (!parts[i].one_of_chosen && parts[i].schema->contains("oneOf")) return Choice{i, "oneOf"};
    }
    return {};
  }

  Expr body(const Parts& parts) {
    if (const auto choice = choice_of(parts)) return alternatives(parts, *choice);
    return values_or_types(parts, gather(document_, parts));
  }

  Expr alternatives(Parts parts, const Choice& choice) {
    Part& chooser = parts[choice.part];
    const Json& list = (*chooser.schema)[choice.key];
    if (!list.is_array())
      document_.refuse(*chooser.schema, fmt::format("has an {} that is not a list", choice.key));
    (choice.key == std::string_view("anyOf") ? chooser.any_of_chosen : chooser.one_of_chosen) =
        true;
    const Json* origin = chooser.schema;
    std::vector<Expr> out;
    for (const Json& alternative : list) {
      const std::optional<Parts> more = document_.expand({&alternative});
      const auto leads_back = [&](const Part& p) { return p.schema == origin; };
      if (!more || std::any_of(more->begin(), more->end(), leads_back)) continue;
      Parts all = parts;
      for (const Part& part : *more)
        if (std::find(all.begin(), all.end(), part) == all.end()) all.push_back(part);
      check(all.size() <= 256, "the schema puts more than 256 schemas together by anyOf");
      out.push_back(value_of(all));
    }
    return grammar_.choice(std::move(out));
  }

  Expr values_or_types(const Parts& parts, const Facts& facts) {
    if (!facts.value_sets.empty()) return values(parts, facts);
    std::vector<Expr> out;
    if (facts.types & kObject) out.push_back(object(parts, facts));
    if (facts.types & kArray) out.push_back(array(parts, facts));
    if (facts.types & kString) out.push_back(strings_.add(facts));
    if (facts.types & (kNumber | kInteger)) out.push_back(number(facts));
    if (facts.types & kBoolean) out.push_back(rules_.boolean());
    if (facts.types & kNull) out.push_back(rules_.null());
    return grammar_.choice(std::move(out));
  }

  Expr values(const Parts& parts, const Facts& facts) {
    std::vector<Expr> out;
    const ValueFilter filter(document_, *parts[0].schema, facts, strings_);
    for (const Json* value : facts.value_sets[0])
      if (filter.admits(*value)) out.push_back(grammar_.bytes(value->dump()));
    return grammar_.choice(std::move(out));
  }

  Expr number(const Facts& facts) {
    const bool whole = (facts.types & kNumber) == 0;
    if (!facts.has_bounds) return whole ? rules_.integer() : rules_.number();
    NumberBounds bounds = facts.bounds;
    bounds.integer = bounds.integer || whole;
    return grammar_.automaton(number_dfa(bounds, budget_));
  }

  /// Places: i items have been read; the last one is behind the closing bracket.
  Expr array(const Parts& parts, const Facts& facts) {
    const ItemSchemas items(document_, parts);
    if (!facts.shapes_arrays) return rules_.list('[', rules_.value(), ']');
    const auto fixed = static_cast<int64_t>(items.fixed());
    const int64_t last =
        facts.max_items >= 0 ? facts.max_items : std::max({facts.min_items, fixed, int64_t{1}});
    Graph graph;
    const auto end = static_cast<int32_t>(last) + 1;
    const Expr comma = rules_.comma(), close = grammar_.bytes("]");
    const Expr blank_close = grammar_.sequence({rules_.space(), close});
    std::optional<Expr> rest;  // of all items behind the fixed ones
    for (int64_t i = 0; i <= last; ++i) {
      budget_.spend(8);
      const auto at = static_cast<int32_t>(i);
      if (i >= facts.min_items) graph.arrows.push_back({at, end, i == 0 ? close : blank_close});
      if (i == last && facts.max_items >= 0) break;
      if (i >= fixed && !rest) rest = value_of_all(items.at(i));
      const Expr item = i < fixed ? value_of_all(items.at(i)) : *rest;
      const Expr read = i == 0 ? item : grammar_.sequence({comma, item});
      graph.arrows.push_back({at, i == last ? at : at + 1, read});
    }
    graph.places = end + 1;
    return grammar_.sequence(
        {grammar_.bytes("["), rules_.space(), grammar_.graph(std::move(graph))});
  }

  Expr value_of_all(const std::optional<std::vector<const Json*>>& schemas) {
    if (!schemas) return nothing();
    return schemas->empty() ? rules_.value() : value(*schemas);
  }

  Expr object(const Parts& parts, const Facts& facts) {
    if (!facts.shapes_objects) return rules_.object();
    const ObjectShape shape = shape_of(document_, parts, facts, strings_, budget_);
    std::vector<ObjectMember> members;
    for (const auto& [name, schemas, required] : shape.named)
      members.push_back({grammar_.bytes('"' + spelled(name, /*in_json=*/true) + '"'),
                         value_of_all(schemas), required});
    std::vector<Expr> extras;
    for (const auto& [key, schemas] : shape.extra)
      extras.push_back(
          grammar_.sequence({grammar_.bytes("\""), grammar_.automaton(key), grammar_.bytes("\""),
                             rules_.colon(), value_of_all(schemas)}));
    return object_expr(grammar_, rules_, members, std::move(extras), facts, budget_);
  }

  SchemaDocument document_;
  Budget& budget_;
  Grammar& grammar_;
  JsonRules rules_;
  SchemaStrings strings_;
  std::map<Parts, RuleId> ids_;
  std::deque<std::pair<RuleId, const Parts*>> pending_;
};

}  // namespace

Expr add_json_schema(Grammar& grammar, std::string_view schema, Budget& budget) {
  return Compiler(grammar, schema, budget).compile();
}

Grammar parse_json_schema(std::string_view schema, Budget& budget) {
  Grammar grammar;
  grammar.root = grammar.add_rule("the schema");
  const Expr space = JsonRules(grammar).space(), value = add_json_schema(grammar, schema, budget);
  grammar.define(grammar.root, grammar.sequence({space, value}));
  return grammar;
}

}  // namespace moge::grammar
