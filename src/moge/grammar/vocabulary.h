// A model's tokens as the bytes that they add to a text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moge/grammar/byte_trie.h"
#include "moge/text/tokenizer.h"

namespace moge::grammar {

/// Longer tokens, runs of blanks or dashes most often, are left to shorter ones.
inline constexpr int kMaxTokenBytes = 48;

class Vocabulary {
 public:
  /// `texts[id]` are the bytes of a token, empty for one that a text cannot hold; `first_texts` the
  /// same for a text's first token (empty: no different). `end_ids` end a text.
  Vocabulary(std::vector<std::string> texts, std::vector<std::string> first_texts,
             std::vector<int32_t> end_ids);
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  int64_t size() const { return static_cast<int64_t>(texts_.size()); }
  const std::string& text(int32_t id, bool first) const {
    return (first && !first_texts_.empty() ? first_texts_ : texts_)[static_cast<size_t>(id)];
  }
  const ByteTrie& tokens() const { return tokens_; }
  /// Of a text's first token.
  const ByteTrie& first_tokens() const { return first_texts_.empty() ? tokens_ : first_tokens_; }
  const std::vector<int32_t>& end_ids() const { return end_ids_; }
  bool ends(int32_t id) const;

 private:
  std::vector<std::string> texts_, first_texts_;
  std::vector<int32_t> end_ids_;
  ByteTrie tokens_, first_tokens_;
};

/// The tokens of a tokenizer, for a model of `vocab_size` tokens that ends texts by `end_ids`.
/// Control tokens have no text, but for those of `shown`.
std::unique_ptr<const Vocabulary> make_vocabulary(const Tokenizer& tokenizer, int64_t vocab_size,
                                                  std::vector<int32_t> end_ids,
                                                  const std::vector<int32_t>& shown = {});

}  // namespace moge::grammar
