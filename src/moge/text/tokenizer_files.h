// Writes byte-level tokenizers as the files that Hugging Face's libraries read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace moge::text {

/// Texts of tokenizer.json and tokenizer_config.json.
struct TokenizerFiles {
  std::string tokenizer_json, config_json;
};

/// What a tokenizer of ours is made of. Tokens are bytes, spelled as such only in the file.
struct ByteLevelVocabulary {
  std::vector<std::string> tokens;                          ///< by id, without the special ones
  std::vector<std::pair<std::string, std::string>> merges;  ///< by falling priority
  std::vector<std::string> special_tokens;                  ///< ids follow the tokens'
  std::string expression;                                   ///< cuts words; empty: no cutting
  std::string bos, eos, pad;                                ///< empty: none
  std::string chat_template;                                ///< Jinja; empty: none
};

TokenizerFiles tokenizer_files(const ByteLevelVocabulary& vocabulary);

/// Writes both files into `folder`, which is made if it does not exist.
void write_tokenizer(const std::filesystem::path& folder, const TokenizerFiles& files);

/// End of text, begin and end of a message: what every tokenizer of ours has.
inline const std::vector<std::string> kSpecialTokens = {"<|endoftext|>", "<|im_start|>",
                                                        "<|im_end|>"};

/// The 256 bytes in the order of their characters: the first ids of every vocabulary of ours.
std::vector<std::string> byte_tokens();

/// A tokenizer of single bytes (ids 0 to 255) and kSpecialTokens (256 on) for a model with
/// `vocab_size` ids, which must be at least 259; further ids have no text.
TokenizerFiles byte_tokenizer_files(int64_t vocab_size);

}  // namespace moge::text
