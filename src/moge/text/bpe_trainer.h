// Trains a byte-level BPE vocabulary: the most frequent pair of neighbouring tokens becomes a
// token, again and again. The same texts give the same vocabulary everywhere.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "moge/text/tokenizer_files.h"

namespace moge::text {

/// Words of letters with the space before them, single digits, punctuation, line breaks (Qwen2's).
inline constexpr const char* kWordExpression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct BpeTrainOptions {
  int64_t vocab_size = 1024;  ///< bytes, merged tokens and special tokens together
  int64_t min_count = 2;      ///< pairs that are seen less often are not merged
  std::vector<std::string> special_tokens = kSpecialTokens;
  std::string expression = kWordExpression;
  std::string bos, eos = kSpecialTokens[0], pad = kSpecialTokens[0];
  std::string chat_template;
};

class BpeTrainer {
 public:
  /// Throws Error where vocab_size leaves no room for the bytes and special tokens.
  explicit BpeTrainer(BpeTrainOptions options);
  ~BpeTrainer();

  /// Counts the words of a text. Special tokens in it are left out, and words of more than 256
  /// bytes: no language has them, and every merge would walk through them.
  void add(std::string_view text);

  /// The vocabulary; smaller than asked for where too few pairs are seen min_count times.
  ByteLevelVocabulary train() const;

 private:
  struct Words;
  BpeTrainOptions options_;
  std::unique_ptr<Words> words_;
};

/// All at once.
TokenizerFiles train_bpe(std::span<const std::string> texts, const BpeTrainOptions& options);

}  // namespace moge::text
