// Numbers out of text, as Python's int() and float() read them.
#pragma once

#include <optional>
#include <string_view>

#include "moge/text/jinja_value.h"

namespace moge::text::jinja {

std::optional<Int> parse_integer(std::string_view text, int base);
std::optional<double> parse_float(std::string_view text);

}  // namespace moge::text::jinja
