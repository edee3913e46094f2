// tokenizer.model through libsentencepiece.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "moge/text/tokenizer.h"

namespace moge::text {

/// `config`: the text of tokenizer_config.json, or empty. Its added tokens behind the model's own
/// pieces are found before the model sees a text. Throws Error naming the file.
std::unique_ptr<Tokenizer> load_sentencepiece(const std::filesystem::path& path,
                                              std::string_view config);

}  // namespace moge::text
