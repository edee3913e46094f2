// GBNF, the grammars of llama.cpp.
#pragma once

#include <string_view>

#include "moge/grammar/grammar.h"

namespace moge::grammar {

/// Throws Error that says what is wrong and where, or names the rule that is missing.
Grammar parse_gbnf(std::string_view text);

}  // namespace moge::grammar
