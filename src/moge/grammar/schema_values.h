// Which values of an enum or const the rest of a schema lets through.
#pragma once

#include "moge/grammar/schema_facts.h"
#include "moge/grammar/schema_strings.h"

namespace moge::grammar {

class ValueFilter {
 public:
  /// Errors are said to be of `schema`.
  ValueFilter(const SchemaDocument& document, const Json& schema, const Facts& facts,
              SchemaStrings& strings)
      : document_(document), schema_(schema), facts_(facts), strings_(strings) {}

  /// Throws Error where the value is an object or a list of which more is asked than to be one.
  bool admits(const Json& value) const;

 private:
  bool has_type(const Json& value) const;
  bool is_in_bounds(const Json& value) const;
  bool is_in_every_set(const Json& value) const;

  const SchemaDocument& document_;
  const Json& schema_;
  const Facts& facts_;
  SchemaStrings& strings_;
};

}  // namespace moge::grammar
