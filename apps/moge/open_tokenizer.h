// The tokenizer of a MODEL argument.
#pragma once

#include <memory>
#include <string>

#include "moge/text/tokenizer.h"

namespace moge {

/// A folder with tokenizer files (config.json is not needed), a run's --save folder (its newest
/// checkpoint), or preset:NAME (a byte tokenizer).
std::unique_ptr<Tokenizer> open_tokenizer(const std::string& model);

/// TEXT as typed; "-" reads all bytes of stdin.
std::string text_or_stdin(const std::string& text);

}  // namespace moge
