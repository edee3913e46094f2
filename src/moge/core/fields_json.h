// Fields of a config struct to and from JSON; keys are the option names, `-` and `_` alike.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "moge/core/fields.h"

namespace moge {

/// {"micro_batch_size": 4, ...}; an absent optional is null.
nlohmann::ordered_json fields_to_json(const std::vector<Field>& fields);

/// Sets one field from a JSON value of its own type (a number for a number, no text for numbers).
/// Throws UsageError naming `source` (a file), the key and what was expected.
void set_from_json(const Field& field, const nlohmann::ordered_json& value,
                   const std::string& source);

/// Sets every field that `object` has a key for. A key that names no field is an error that tells
/// the nearest one.
void fields_from_json(const std::vector<Field>& fields, const nlohmann::ordered_json& object,
                      const std::string& source);

/// A JSON object of a file of at most 16 MiB; throws UsageError with file and position.
nlohmann::ordered_json read_json_object(const std::string& path);

}  // namespace moge
