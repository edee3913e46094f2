// Small Python functions with a docstring and a worked example, for the demo corpus.
#pragma once

#include <string>

#include "moge/core/rng.h"

namespace moge::data {

/// Appends one function; its docstring holds one or two examples in doctest form, whose results
/// are computed here and hold when Python runs them.
void append_python_function(std::string& out, Rng& rng);

}  // namespace moge::data
