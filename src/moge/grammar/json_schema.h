// JSON Schema to a grammar whose texts are JSON that validates.
#pragma once

#include <string_view>

#include "moge/grammar/grammar.h"

namespace moge::grammar {

/// Properties come in the order of the schema; oneOf is read as anyOf. Throws Error that names a
/// keyword that is not supported and where it stands.
Grammar parse_json_schema(std::string_view schema, Budget& budget);

/// The same as an expression of a grammar that has other rules, too.
Expr add_json_schema(Grammar& grammar, std::string_view schema, Budget& budget);

}  // namespace moge::grammar
