// The path in the first line of a request, as routes know it.
#pragma once

#include <string>
#include <string_view>

namespace moge::serve {

/// Without scheme and host (clients of proxies send them), query, repeated slashes and a slash at
/// the end; what was written as %XX is a character.
std::string path_of(std::string_view target);

}  // namespace moge::serve
