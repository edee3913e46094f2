// What was typed, into fields: command line over --config file over default.
#pragma once

#include <string>
#include <vector>

#include "moge/core/fields.h"

namespace moge {

/// Sets `fields` from `args`; `-` and `_` are alike in names, `--name value` and `--name=value`
/// too. A field called "config" names a JSON file with the same options. Returns true if --help
/// was asked for (then nothing is required). Throws UsageError.
bool parse_fields(const std::string& command, const std::vector<Field>& fields,
                  const std::vector<std::string>& args);

}  // namespace moge
