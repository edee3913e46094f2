// Regular expressions: what vLLM's guided_regex and JSON Schema's pattern mean by one, as far as an
// automaton can tell. No back references, no look-around.
#pragma once

#include <string_view>

#include "moge/grammar/grammar.h"

namespace moge::grammar {

struct RegexOptions {
  /// The expression may match anywhere in the text unless ^ and $ hold it (JSON Schema's pattern);
  /// otherwise it matches the whole text, and ^ and $ at its ends say nothing new.
  bool anywhere = false;
  /// The text is spelled as inside a JSON string.
  bool in_json = false;
};

/// Throws Error that names what is not supported and where.
Expr add_regex(Grammar& grammar, std::string_view regex, const RegexOptions& options);

/// One character of the set, in a text or (`in_json`) as JSON spells it inside a string.
Expr add_chars(Grammar& grammar, const CharSet& set, bool in_json);
/// A text, the same way.
std::string spelled(std::string_view text, bool in_json);

}  // namespace moge::grammar
