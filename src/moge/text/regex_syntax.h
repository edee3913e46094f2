// Regular expressions of tokenizer.json are written for Oniguruma; this rewrites one for PCRE2.
#pragma once

#include <string>
#include <string_view>

namespace moge::text {

/// The same language in PCRE2's syntax: \s, \w, \d and \p{...} become the character sets that
/// Oniguruma knows, {n,m}+ repeats again, (?m) lets '.' match a newline. What has no translation
/// (nested classes, &&, \Q, ...) throws an Error that names it.
std::string to_pcre2(std::string_view oniguruma);

}  // namespace moge::text
