// Tokenizers: text to token ids and back, from tokenizer.json (Hugging Face) or tokenizer.model
// (SentencePiece), with the ids and the text that those libraries give.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moge {

/// A running decode, made by a tokenizer; used through StreamDecoder.
class DecodeState {
 public:
  virtual ~DecodeState() = default;
  /// Both append the text that no later id can change.
  virtual void push(int32_t id, std::string& out) = 0;
  virtual void finish(std::string& out) = 0;
};

/// What a tokenizer's files name as its own ids.
struct SpecialIds {
  std::optional<int32_t> bos, eos, pad, unk;
};

/// Const members may be called by several threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Reads tokenizer.json, else tokenizer.model, of `folder`, and tokenizer_config.json beside it.
  /// Throws Error naming the file and the field that is wrong or not supported.
  static std::unique_ptr<Tokenizer> load(const std::filesystem::path& folder);

  /// From the texts of the files; `config` (tokenizer_config.json) may be empty. Errors name
  /// `where`.
  static std::unique_ptr<Tokenizer> from_json(std::string_view tokenizer_json,
                                              std::string_view config, const std::string& where);

  /// Ids of a text; bytes that are no UTF-8 count as U+FFFD. `add_special` adds what the file's
  /// post-processor adds (bos of Llama, for example); SentencePiece models add nothing.
  virtual std::vector<int32_t> encode(std::string_view text, bool add_special) const = 0;

  /// Text of ids, U+FFFD for what is no UTF-8. Ids without a piece give nothing.
  std::string decode(std::span<const int32_t> ids, bool skip_special) const;

  /// One more than the largest id that has a piece.
  virtual int64_t vocab_size() const = 0;
  /// Empty for an id that has none.
  virtual std::string id_to_piece(int32_t id) const = 0;
  virtual std::optional<int32_t> piece_to_id(std::string_view piece) const = 0;
  /// Left out by decode(..., skip_special): bos, eos, control tokens.
  virtual bool is_special(int32_t id) const = 0;
  virtual SpecialIds special_ids() const = 0;
  std::optional<int32_t> bos_id() const { return special_ids().bos; }
  std::optional<int32_t> eos_id() const { return special_ids().eos; }
  std::optional<int32_t> pad_id() const { return special_ids().pad; }

  /// The bytes that an id adds to a text, which may be less than a character; `first`: as the
  /// text's first, which may lose a leading space. Empty for ids that have no piece.
  virtual std::string token_bytes(int32_t id, bool first) const = 0;

  virtual std::unique_ptr<DecodeState> start_decode(bool skip_special) const = 0;
};

/// Decodes ids one at a time. What push() and flush() return, joined, is decode() of all ids;
/// push() returns only whole characters, as soon as no later id can change them. The tokenizer must
/// outlive it.
class StreamDecoder {
 public:
  StreamDecoder(const Tokenizer& tokenizer, bool skip_special);
  std::string push(int32_t id);
  /// The rest; afterwards a new text begins.
  std::string flush();

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_;
  std::unique_ptr<DecodeState> state_;
};

}  // namespace moge
