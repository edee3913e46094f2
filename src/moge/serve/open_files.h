// How many connections the system lets this process hold.
#pragma once

#include <cstdint>

namespace moge::serve {

/// Raises the limit of open files to the hard one and returns it.
int64_t raise_open_file_limit();

/// Connections that fit: what the model, the log and the server itself need is left free.
int64_t connections_for(int64_t open_files);

}  // namespace moge::serve
