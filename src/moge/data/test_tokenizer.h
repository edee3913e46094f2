// A tokenizer for tests: one id a byte, 256 the end of a text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "moge/core/error.h"
#include "moge/text/tokenizer.h"

namespace moge::data {

class ByteTokenizer : public Tokenizer {
 public:
  explicit ByteTokenizer(bool has_eos = true, int64_t vocab_size = 257)
      : has_eos_(has_eos), vocab_size_(vocab_size) {}

  std::vector<int32_t> encode(std::string_view text, bool add_special) const override {
    std::vector<int32_t> ids;
    if (add_special) ids.push_back(255);  // must never be seen in prepared data
    for (unsigned char c : text) ids.push_back(c);
    return ids;
  }
  int64_t vocab_size() const override { return vocab_size_; }
  std::string id_to_piece(int32_t id) const override {
    return id < 256 ? std::string(1, static_cast<char>(id)) : "<eos>";
  }
  std::optional<int32_t> piece_to_id(std::string_view) const override { return std::nullopt; }
  bool is_special(int32_t id) const override { return id == 256; }
  std::string token_bytes(int32_t id, bool) const override {
    return id < 256 ? id_to_piece(id) : "";
  }
  SpecialIds special_ids() const override {
    SpecialIds ids;
    if (has_eos_) ids.eos = 256;
    return ids;
  }
  std::unique_ptr<DecodeState> start_decode(bool) const override {
    fail("[test] this tokenizer only encodes");
  }

 private:
  bool has_eos_;
  int64_t vocab_size_;
};

}  // namespace moge::data
