// Calls of tools as a model writes them: what stands around them, and JSON with a name and
// arguments that fit the tool's schema.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moge/grammar/grammar.h"

namespace moge::grammar {

struct ToolCalls {
  struct Tool {
    std::string name;
    std::string schema;  ///< JSON Schema of the arguments
    bool operator==(const Tool&) const = default;
  };
  std::vector<Tool> tools;
  std::string arguments_key = "arguments";
  std::string before, between, after;  ///< the first call, two calls, the last
  int32_t most = 1;                    ///< calls of one output; there is at least one
  bool operator==(const ToolCalls&) const = default;
};

/// A rule of the calls. Throws Error that names the tool whose schema cannot be followed, and the
/// keyword.
RuleId add_tool_calls(Grammar& grammar, const ToolCalls& calls, Budget& budget);

}  // namespace moge::grammar
