// tokenizer_config.json: the names of bos, eos, pad and unk, and added tokens by id.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moge/text/added_tokens.h"
#include "moge/text/json_node.h"

namespace moge::text {

struct TokenizerConfig {
  std::optional<std::string> bos, eos, pad, unk;
  std::vector<AddedToken> added;  ///< by rising id
};

/// Reads the parts of the file that concern ids; an empty text gives an empty config.
TokenizerConfig read_tokenizer_config(std::string_view text, const std::string& where);

/// {"content": ..., "special": ..., ...} of either file, without its id.
AddedToken read_added_token(const JsonNode& node);

/// Ids above this are refused: a vocabulary is an array.
inline constexpr int64_t kMaxTokenId = 16'000'000;

}  // namespace moge::text
