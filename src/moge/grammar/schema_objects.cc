#include "moge/grammar/schema_objects.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "moge/grammar/regex.h"

namespace moge::grammar {

namespace {

constexpr size_t kMaxPatterns = 4;  // each doubles the kinds of keys

class Shaper {
 public:
  Shaper(const SchemaDocument& document, const Parts& parts, const Facts& facts,
         SchemaStrings& strings, Budget& budget)
      : document_(document), parts_(parts), facts_(facts), strings_(strings), budget_(budget) {
    for (const Part& part : parts) {
      if (!part.schema->contains("patternProperties")) continue;
      for (const auto& [regex, schema] : (*part.schema)["patternProperties"].items())
        if (std::find(patterns_.begin(), patterns_.end(), regex) == patterns_.end())
          patterns_.push_back(regex);
      if (patterns_.size() > kMaxPatterns)
        document.refuse(*part.schema, "has more than 4 patternProperties, which is not supported");
    }
    read_names();
  }

  ObjectShape shape() {
    ObjectShape out;
    for (const std::string& name : names()) {
      const bool required = facts_.is_required(name);
      Asked asked = asked_of(&name, patterns_of(name));
      if (name_facts_ && !strings_.admits(*name_facts_, name)) asked = {};
      if (asked || required) out.named.push_back({name, std::move(asked), required});
    }
    if (facts_.max_properties < 0 || facts_.max_properties > 0) add_extras(out);
    return out;
  }

 private:
  /// Of the properties first, then those that are only required.
  const std::vector<std::string>& names() {
    if (!names_.empty()) return names_;
    for (const Part& part : parts_)
      if (part.schema->contains("properties"))
        for (const auto& [name, schema] : (*part.schema)["properties"].items()) add_name(name);
    has_properties_ = !names_.empty();
    for (const std::string& name : facts_.required) add_name(name);
    return names_;
  }

  void add_name(const std::string& name) {
    budget_.spend(static_cast<int64_t>(names_.size()) / 8 + 1);
    if (std::find(names_.begin(), names_.end(), name) == names_.end()) names_.push_back(name);
  }

  /// What propertyNames asks of a name.
  void read_names() {
    std::vector<const Json*> schemas;
    for (const Part& part : parts_)
      if (part.schema->contains("propertyNames"))
        schemas.push_back(&(*part.schema)["propertyNames"]);
    if (schemas.empty()) return;
    const auto expanded = document_.expand(schemas);
    if (expanded)
      for (const Part& p : *expanded)
        for (const char* key : {"anyOf", "oneOf", "enum", "const"})
          if (p.schema->contains(key))
            document_.refuse(*p.schema,
                             fmt::format("has the keyword {} inside propertyNames, which "
                                         "is not supported",
                                         key));
    name_facts_ = gather(document_, expanded.value_or(Parts{}));
    if (!expanded || (name_facts_->types & kString) == 0)
      document_.refuse(*parts_[0].schema, "has propertyNames that no name fits");
  }

  uint32_t patterns_of(const std::string& name) {
    uint32_t mask = 0;
    for (size_t i = 0; i < patterns_.size(); ++i)
      if (strings_.pattern(patterns_[i]).matches(spelled(name, /*in_json=*/true))) mask |= 1u << i;
    return mask;
  }

  /// What the schemas ask of a member whose name (null: any other) matches these patterns.
  Asked asked_of(const std::string* name, uint32_t patterns) {
    std::vector<const Json*> out;
    for (const Part& part : parts_) {
      const Json& schema = *part.schema;
      bool met = false;
      if (name && schema.contains("properties") && schema["properties"].contains(*name)) {
        out.push_back(&schema["properties"][*name]);
        met = true;
      }
      if (schema.contains("patternProperties"))
        for (size_t i = 0; i < patterns_.size(); ++i)
          if ((patterns >> i & 1) != 0 && schema["patternProperties"].contains(patterns_[i])) {
            out.push_back(&schema["patternProperties"][patterns_[i]]);
            met = true;
          }
      if (met || !schema.contains("additionalProperties")) continue;
      const Json& other = schema["additionalProperties"];
      if (other == false) return {};
      if (other != true) out.push_back(&other);
    }
    return out;
  }

  bool invites_others() const {
    return !has_properties_ || std::any_of(parts_.begin(), parts_.end(), [](const Part& part) {
      const auto it = part.schema->find("additionalProperties");
      return it != part.schema->end() && *it != false;
    });
  }

  void add_extras(ObjectShape& out) {
    const bool others = invites_others();
    if (!others && patterns_.empty()) return;
    for (uint32_t mask = 0; mask < 1u << patterns_.size(); ++mask) {
      if (mask == 0 && !others) continue;
      Asked asked = asked_of(nullptr, mask);
      if (!asked) continue;
      Dfa key = keys(mask);
      if (!is_empty(key)) out.extra.push_back({std::move(key), std::move(asked)});
    }
  }

  /// Names that match exactly these patterns, and are not named.
  Dfa keys(uint32_t mask) {
    Dfa key = strings_.contents(name_facts_.value_or(Facts{}));
    for (size_t i = 0; i < patterns_.size(); ++i) {
      const Dfa& pattern = strings_.pattern(patterns_[i]);
      key =
          (mask >> i & 1) != 0 ? intersect(key, pattern, budget_) : subtract(key, pattern, budget_);
    }
    if (names_.empty()) return key;
    Grammar scratch;
    std::vector<Expr> named;
    for (const std::string& name : names_) named.push_back(scratch.bytes(spelled(name, true)));
    return subtract(key, to_dfa(scratch, scratch.choice(std::move(named)), budget_), budget_);
  }

  const SchemaDocument& document_;
  const Parts& parts_;
  const Facts& facts_;
  SchemaStrings& strings_;
  Budget& budget_;
  std::vector<std::string> patterns_, names_;
  bool has_properties_ = false;
  std::optional<Facts> name_facts_;
};

}  // namespace

ObjectShape shape_of(const SchemaDocument& document, const Parts& parts, const Facts& facts,
                     SchemaStrings& strings, Budget& budget) {
  return Shaper(document, parts, facts, strings, budget).shape();
}

/// Places: (members decided on, members written), the latter counted up to where it still matters.
Expr object_expr(Grammar& grammar, JsonRules& rules, const std::vector<ObjectMember>& members,
                 std::vector<Expr> extras, const Facts& facts, Budget& budget) {
  const auto n = static_cast<int64_t>(members.size());
  const bool bounded = facts.max_properties >= 0 && (!extras.empty() || facts.max_properties < n);
  const int64_t counted =
      std::max<int64_t>({1, facts.min_properties, bounded ? facts.max_properties : 0});
  budget.spend(8 * (n + 1) * (counted + 1));
  check((n + 1) * (counted + 1) < kMaxStates,
        "the grammar is too large: it has more than {} states", kMaxStates);
  const auto place = [&](int64_t member, int64_t written) {
    return static_cast<int32_t>(member * (counted + 1) + written);
  };
  Graph graph;
  const Expr comma = rules.comma();
  const auto write = [&](int64_t member, int64_t written, Expr e, int64_t next) {
    if (bounded && written == facts.max_properties) return;
    const Expr read = written == 0 ? e : grammar.sequence({comma, e});
    graph.arrows.push_back(
        {place(member, written), place(next, std::min(written + 1, counted)), read});
  };
  for (int64_t i = 0; i < n; ++i) {
    const ObjectMember& m = members[static_cast<size_t>(i)];
    const Expr e = grammar.sequence({m.key, rules.colon(), m.value});
    for (int64_t written = 0; written <= std::min(i, counted); ++written) {
      write(i, written, e, i + 1);
      if (!m.required) graph.arrows.push_back({place(i, written), place(i + 1, written)});
    }
  }
  const auto end = place(n, counted) + 1;
  const bool has_extras = !extras.empty();
  const Expr extra = grammar.choice(std::move(extras));
  for (int64_t written = 0; written <= counted; ++written) {
    if (has_extras) write(n, written, extra, n);
    if (written >= facts.min_properties)
      graph.arrows.push_back(
          {place(n, written), end, written == 0 ? grammar.bytes("") : rules.space()});
  }
  graph.places = end + 1;
  return grammar.sequence(
      {grammar.bytes("{"), rules.space(), grammar.graph(std::move(graph)), grammar.bytes("}")});
}

ItemSchemas::ItemSchemas(const SchemaDocument& document, const Parts& parts) {
  for (const Part& part : parts) {
    const Json& schema = *part.schema;
    PartItems items;
    const auto add_first = [&](const char* key) {
      if (!schema[key].is_array())
        document.refuse(schema, fmt::format("has {} that are no list", key));
      for (const Json& each : schema[key]) items.first.push_back(&each);
    };
    const bool old_form = schema.contains("items") && schema["items"].is_array();
    if (schema.contains("prefixItems")) add_first("prefixItems");
    if (old_form) add_first("items");
    const char* rest = old_form ? "additionalItems" : "items";
    if (schema.contains(rest)) items.rest = &schema[rest];
    fixed_ = std::max(fixed_, items.first.size());
    parts_.push_back(std::move(items));
  }
}

Asked ItemSchemas::at(int64_t place) const {
  std::vector<const Json*> out;
  for (const PartItems& items : parts_) {
    const auto i = static_cast<size_t>(place);
    const Json* schema = i < items.first.size() ? items.first[i] : items.rest;
    if (schema == nullptr || *schema == true) continue;
    if (*schema == false) return {};
    out.push_back(schema);
  }
  return out;
}

}  // namespace moge::grammar
