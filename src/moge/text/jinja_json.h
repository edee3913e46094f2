// JSON into values and back: the order of keys is kept, and the text is Python's json.dumps.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "moge/text/jinja_value.h"

namespace moge::text::jinja {

Value value_from_json(Budget& budget, const nlohmann::ordered_json& json);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;  // of one level
  std::string item_separator = ", ", key_separator = ": ";
};

std::string to_json(Budget& budget, const Value& value, const JsonStyle& style);

}  // namespace moge::text::jinja
