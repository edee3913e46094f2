// Compiles the forms that requests ask for, on a thread of its own.
#pragma once

#include "moge/serve/asio.h"  // before Boost's own

#include <memory>

#include "moge/grammar/compiled.h"
#include "moge/serve/output_format_fields.h"
#include "moge/serve/output_parser.h"
#include "moge/serve/service.h"

namespace moge::serve {

/// Sets `request.grammar` where the request asks for a form of its output; in chats it holds behind
/// the reasoning that `output` tells of. Throws ApiError 400 with the field, and the keyword in the
/// message, for a form that cannot be compiled.
asio::awaitable<void> compile_output_format(const Service& service, GenerateRequest& request,
                                            const OutputForm& output);

}  // namespace moge::serve
