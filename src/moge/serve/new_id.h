// Names for what a server makes: "msg_0123456789abcdef".
#pragma once

#include <string>

namespace moge::serve {

std::string new_id(const char* prefix);

}  // namespace moge::serve
