// Objects and lists of a schema: which members and items there can be, and what is asked of each.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "moge/grammar/json_rules.h"
#include "moge/grammar/schema_facts.h"
#include "moge/grammar/schema_strings.h"

namespace moge::grammar {

/// Schemas that must all hold; nothing: none can.
using Asked = std::optional<std::vector<const Json*>>;

struct ObjectShape {
  struct Named {
    std::string name;
    Asked schemas;
    bool required = false;
  };
  struct Extra {
    Dfa key;  ///< without the quotes; has no named one
    Asked schemas;
  };
  std::vector<Named> named;  ///< in the order of the schemas
  std::vector<Extra> extra;
};

/// Members beyond those named by `properties` are made only where additionalProperties or
/// patternProperties allow them in so many words, or no properties are named.
ObjectShape shape_of(const SchemaDocument& document, const Parts& parts, const Facts& facts,
                     SchemaStrings& strings, Budget& budget);

struct ObjectMember {
  Expr key = -1, value = -1;
  bool required = false;
};

/// From `{` to `}`: members in order, then any of `extras`, as many as the facts allow.
Expr object_expr(Grammar& grammar, JsonRules& rules, const std::vector<ObjectMember>& members,
                 std::vector<Expr> extras, const Facts& facts, Budget& budget);

/// What is asked of a list's items, by their place.
class ItemSchemas {
 public:
  ItemSchemas(const SchemaDocument& document, const Parts& parts);
  size_t fixed() const { return fixed_; }  ///< places with schemas of their own
  Asked at(int64_t place) const;

 private:
  struct PartItems {
    std::vector<const Json*> first;
    const Json* rest = nullptr;
  };
  std::vector<PartItems> parts_;
  size_t fixed_ = 0;
};

}  // namespace moge::grammar
