// Template source -> tree. Whatever this house's interpreter does not know (a tag, filter, test,
// function, method) is refused here, with its line, and not in the middle of a chat.
#pragma once

#include <string_view>

#include "moge/text/jinja_ast.h"

namespace moge::text::jinja {

Body parse_template(std::string_view source);

}  // namespace moge::text::jinja
