// Byte-pair encoding: the model of a tokenizer.json. A word's characters are merged pair by pair,
// lowest rank first, leftmost first among equals.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "moge/text/flat_map.h"

namespace moge::text {

struct BpeOptions {
  std::string unk_token;       ///< stands for a character that has no token; empty: it is dropped
  bool fuse_unk = false;       ///< neighbouring unknown characters give one token
  bool byte_fallback = false;  ///< an unknown character becomes its bytes, "<0xE4>"
  bool ignore_merges = false;  ///< a word that is a token is not cut
};

class Bpe {
 public:
  using Merge = std::pair<std::string, std::string>;

  /// tokens[id] is the text of a token (empty where an id is not used); merges by falling priority.
  /// Throws Error where a merge or the unknown token is not in the vocabulary.
  Bpe(std::vector<std::string> tokens, const std::vector<Merge>& merges, BpeOptions options);
  Bpe(const Bpe&) = delete;
  Bpe& operator=(const Bpe&) = delete;

  /// Appends the ids of one word (valid UTF-8).
  void encode(std::string_view word, std::vector<int32_t>& ids) const;

  std::optional<int32_t> find(std::string_view token) const;
  const std::vector<std::string>& tokens() const { return tokens_; }
  int32_t size() const { return static_cast<int32_t>(ids_.size()); }  ///< tokens, without gaps
  const BpeOptions& options() const { return options_; }

 private:
  void add_merges(const std::vector<Merge>& merges);
  void find_cuts(const std::vector<Merge>& merges);
  bool may_join(char32_t left, char32_t right) const;
  void encode_uncut(std::string_view word, std::vector<int32_t>& ids) const;
  void spell(std::string_view word, std::vector<int32_t>& ids) const;
  bool spell_as_bytes(std::string_view character, std::vector<int32_t>& ids) const;
  int32_t id_of(char32_t c) const;
  uint64_t merge_of(int32_t left, int32_t right) const;
  size_t merge_short(int32_t* ids, size_t n) const;
  size_t merge_long(int32_t* ids, size_t n) const;

  std::vector<std::string> tokens_;
  std::unordered_map<std::string_view, int32_t> ids_;  // views into tokens_
  std::vector<int32_t> low_characters_;                // ids of characters below 2048
  FlatMap characters_;                                 // of the others
  FlatMap merges_;                                     // left, right -> rank, id
  FlatMap joins_;                                      // pairs of characters that a token spans
  int32_t bytes_[256];                                 // ids of "<0x00>".. or -1
  int32_t unk_ = -1;
  bool cuts_ = false;  // words may be cut where joins_ has no pair
  BpeOptions options_;
};

}  // namespace moge::text
