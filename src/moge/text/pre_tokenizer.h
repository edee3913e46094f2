// Pre-tokenizers of tokenizer.json: they cut a text into the words that the model sees one by one.
#pragma once

#include <functional>

#include "moge/text/json_node.h"
#include "moge/text/pieces.h"

namespace moge::text {

/// Cuts the pieces of a text further; may be called by several threads.
using PreTokenizer = std::function<void(Pieces&)>;

/// ByteLevel, Split, Metaspace, Digits, Punctuation, Whitespace, WhitespaceSplit,
/// CharDelimiterSplit, Sequence; null gives none. Throws Error for any other, by name.
PreTokenizer make_pre_tokenizer(const JsonNode& node);

/// The expression that ByteLevel uses by itself (GPT-2's).
inline constexpr const char* kByteLevelExpression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace moge::text
