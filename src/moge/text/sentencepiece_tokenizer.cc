#include "moge/text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <unordered_map>

#include "moge/core/error.h"
#include "moge/core/files.h"
#include "moge/text/added_tokens.h"
#include "moge/text/sentencepiece_model.h"
#include "moge/text/tokenizer_config.h"
#include "moge/text/utf8.h"

namespace moge::text {

namespace {

constexpr std::string_view kMark = "\xE2\x96\x81";  // U+2581 stands for a space

std::string with_spaces(std::string_view piece) {
  std::string out;
  while (!piece.empty()) {
    const bool mark = piece.starts_with(kMark);
    out += mark ? ' ' : piece[0];
    piece.remove_prefix(mark ? kMark.size() : 1);
  }
  return out;
}

/// Rules that leave ASCII as it is, but for the kinds of white space.
bool has_standard_rules(const SentencePieceOptions& options) {
  if (!options.has_normalization) return true;
  for (const char* name : {"nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf"})
    if (options.normalization == name) return true;
  return false;
}

class SentencePiece : public Tokenizer {
 public:
  SentencePiece(const std::filesystem::path& path, std::string_view config);

  std::vector<int32_t> encode(std::string_view text, bool add_special) const override;
  int64_t vocab_size() const override { return vocab_size_; }
  std::string id_to_piece(int32_t id) const override;
  std::optional<int32_t> piece_to_id(std::string_view piece) const override;
  bool is_special(int32_t id) const override;
  SpecialIds special_ids() const override { return special_ids_; }
  std::string token_bytes(int32_t id, bool first) const override;
  std::unique_ptr<DecodeState> start_decode(bool skip_special) const override;

  const sentencepiece::SentencePieceProcessor& model() const { return model_; }
  bool has_piece(int32_t id) const { return id >= 0 && id < model_.GetPieceSize(); }
  /// The space in front of a text's first piece is dropped,
  bool strips_first() const { return options_.add_dummy_prefix || strips_all(); }
  /// and those of the pieces behind it, as long as they are only space.
  bool strips_all() const { return options_.remove_extra_whitespaces; }
  const std::string& unk_surface() const { return unk_surface_; }

 private:
  void add_tokens(const TokenizerConfig& config);
  void find_whether_cuts_are_exact();
  size_t next_cut(std::string_view text, size_t begin) const;
  void encode_with_library(std::string_view text, std::vector<int>& ids) const;
  void encode_words(std::string_view text, std::vector<int32_t>& ids) const;

  sentencepiece::SentencePieceProcessor model_;
  AddedTokenFinder finder_;
  std::unordered_map<int32_t, AddedToken> added_;
  SpecialIds special_ids_;
  int64_t vocab_size_ = 0;
  SentencePieceOptions options_;
  bool cuts_ = false;  // words may be encoded one by one
  std::string unk_surface_;
};

/// What the library's Decode does, one id at a time.
class SentencePieceDecode : public DecodeState {
 public:
  SentencePieceDecode(const SentencePiece& tokenizer, bool skip_special)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  void push(int32_t id, std::string& out) override {
    if (skip_special_ && tokenizer_.is_special(id)) return;
    const size_t before = out.size();
    if (!tokenizer_.has_piece(id)) {
      pass_bytes(/*end=*/true, out);
      out += tokenizer_.id_to_piece(id);
    } else if (tokenizer_.model().IsByte(id)) {
      bytes_ += static_cast<char>(std::stoi(tokenizer_.id_to_piece(id).substr(3, 2), nullptr, 16));
      pass_bytes(/*end=*/false, out);
    } else {
      pass_bytes(/*end=*/true, out);
      any_ = any_ || out.size() > before;
      pass_piece(id, out);
    }
    any_ = any_ || out.size() > before;
  }

  void finish(std::string& out) override { pass_bytes(/*end=*/true, out); }

 private:
  void pass_piece(int32_t id, std::string& out) {
    if (space_dropped_ || any_) at_start_ = false;
    space_dropped_ = false;
    if (tokenizer_.model().IsControl(id)) return;
    if (tokenizer_.model().IsUnknown(id)) {
      out += tokenizer_.unk_surface();
      return;
    }
    const std::string text = tokenizer_.id_to_piece(id);
    std::string_view piece = text;
    if (at_start_ && tokenizer_.strips_first() && piece.starts_with(kMark)) {
      piece.remove_prefix(kMark.size());
      space_dropped_ = !tokenizer_.strips_all();
    }
    out += with_spaces(piece);
  }

  /// Each byte that belongs to no character becomes a U+FFFD of its own.
  void pass_bytes(bool end, std::string& out) {
    size_t at = 0;
    while (at < bytes_.size()) {
      const std::string_view rest = std::string_view(bytes_).substr(at);
      const CodePoint c = decode_utf8(rest);
      if (c.truncated && !end) break;
      out += c.valid ? rest.substr(0, static_cast<size_t>(c.size)) : kReplacement;
      at += c.valid ? static_cast<size_t>(c.size) : 1;
    }
    bytes_.erase(0, at);
  }

  const SentencePiece& tokenizer_;
  bool skip_special_;
  bool at_start_ = true, space_dropped_ = false, any_ = false;
  std::string bytes_;
};

SentencePiece::SentencePiece(const std::filesystem::path& path, std::string_view config) {
  const std::string bytes = read_file(path);
  const auto status = model_.LoadFromSerializedProto(bytes);
  check(status.ok() && model_.GetPieceSize() > 0,
        "[tokenizer] {} is no SentencePiece model: {} bytes", path.string(), bytes.size());
  vocab_size_ = model_.GetPieceSize();
  const auto id = [](int value) {
    return value >= 0 ? std::optional<int32_t>(value) : std::nullopt;
  };
  special_ids_ = {id(model_.bos_id()), id(model_.eos_id()), id(model_.pad_id()),
                  id(model_.unk_id())};
  add_tokens(
      read_tokenizer_config(config, (path.parent_path() / "tokenizer_config.json").string()));
  options_ = read_sentencepiece_options(bytes);
  model_.Decode(std::vector<int>{model_.unk_id()}, &unk_surface_).IgnoreError();
  find_whether_cuts_are_exact();
}

void SentencePiece::add_tokens(const TokenizerConfig& config) {
  for (const AddedToken& token : config.added) {
    if (token.id < model_.GetPieceSize() || token.content.empty()) continue;
    finder_.add(token, token.content);
    added_[token.id] = token;
    vocab_size_ = std::max<int64_t>(vocab_size_, token.id + 1);
  }
  const auto replace = [&](std::optional<int32_t>& id, const std::optional<std::string>& name) {
    if (const auto named = name ? piece_to_id(*name) : std::nullopt) id = named;
  };
  replace(special_ids_.bos, config.bos);
  replace(special_ids_.eos, config.eos);
  replace(special_ids_.pad, config.pad);
}

/// A text may be cut in front of a space where no piece holds a space behind another character, and
/// where the library turns each part into what it would be inside the whole. Apart from speed, that
/// keeps the scores of a unigram model, which the library adds up in fp32, small and exact.
void SentencePiece::find_whether_cuts_are_exact() {
  using Kind = SentencePieceOptions::Kind;
  const int mark = model_.PieceToId(kMark);
  cuts_ = (options_.kind == Kind::kBpe || options_.kind == Kind::kUnigram) &&
          options_.add_dummy_prefix && options_.escape_whitespaces && !options_.space_is_suffix &&
          has_standard_rules(options_) && has_piece(mark) && !model_.IsUnknown(mark);
  for (int id = 0; cuts_ && id < model_.GetPieceSize(); ++id) {
    std::string_view piece = model_.IdToPiece(id);
    while (piece.starts_with(kMark)) piece.remove_prefix(kMark.size());
    const bool is_plain =
        piece.find(kMark) == std::string_view::npos && piece.find(' ') == std::string_view::npos;
    cuts_ = is_plain || model_.IsControl(id) || model_.IsUnknown(id);
  }
}

/// The next space behind `begin` at which the text may be cut, or its end. Where spaces or
/// characters are normalized, that is a single space between two visible ASCII characters.
size_t SentencePiece::next_cut(std::string_view text, size_t begin) const {
  const bool changes = options_.has_normalization || options_.remove_extra_whitespaces;
  const auto visible = [](char c) { return c > ' ' && c < 0x7F; };
  for (size_t at = text.find(' ', begin + 1); at < text.size(); at = text.find(' ', at + 1)) {
    if (changes) {
      if (visible(text[at - 1]) && at + 1 < text.size() && visible(text[at + 1])) return at;
    } else if (text[at - 1] != ' ') {  // spaces at the end stay with the last word
      return text.find_first_not_of(' ', at) == std::string_view::npos ? text.size() : at;
    }
  }
  return text.size();
}

void SentencePiece::encode_with_library(std::string_view text, std::vector<int>& ids) const {
  const auto status = model_.Encode(text, &ids);
  check(status.ok(), "[tokenizer] encoding {} bytes: {}", text.size(), status.error_message());
}

/// Word by word, each word once. The library puts a space in front of a text, so each part gives up
/// the one that it begins with.
void SentencePiece::encode_words(std::string_view text, std::vector<int32_t>& ids) const {
  std::unordered_map<std::string_view, std::vector<int>> known;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = next_cut(text, begin);
    const std::string_view word = text.substr(begin, end - begin);
    const auto [found, is_new] = known.try_emplace(word);
    if (is_new) encode_with_library(word, found->second);
    ids.insert(ids.end(), found->second.begin(), found->second.end());
    begin = end + (end < text.size() ? 1 : 0);
  }
}

std::vector<int32_t> SentencePiece::encode(std::string_view text, bool) const {
  const std::string clean = replace_invalid_utf8(text);
  std::vector<int32_t> ids;
  finder_.split(clean, [&](size_t begin, size_t end, int32_t id) {
    const auto part = std::string_view(clean).substr(begin, end - begin);
    if (id >= 0) return ids.push_back(id);
    const bool has_mark = part.find(kMark) != std::string_view::npos;  // it looks like a space
    if (cuts_ && !has_mark) return encode_words(part, ids);
    std::vector<int> own;
    encode_with_library(part, own);
    ids.insert(ids.end(), own.begin(), own.end());
  });
  return ids;
}

std::string SentencePiece::id_to_piece(int32_t id) const {
  if (has_piece(id)) return model_.IdToPiece(id);
  const auto found = added_.find(id);
  return found == added_.end() ? "" : found->second.content;
}

std::optional<int32_t> SentencePiece::piece_to_id(std::string_view piece) const {
  for (const auto& [id, token] : added_)
    if (token.content == piece) return id;
  const int id = model_.PieceToId(piece);
  if (has_piece(id) && model_.IdToPiece(id) == piece) return id;
  return {};
}

bool SentencePiece::is_special(int32_t id) const {
  if (has_piece(id)) return model_.IsControl(id);
  const auto found = added_.find(id);
  return found != added_.end() && found->second.special;
}

std::string SentencePiece::token_bytes(int32_t id, bool first) const {
  if (!has_piece(id)) return id_to_piece(id);
  if (model_.IsByte(id))
    return {static_cast<char>(std::stoi(id_to_piece(id).substr(3, 2), nullptr, 16))};
  if (model_.IsControl(id)) return "";
  if (model_.IsUnknown(id)) return unk_surface_;
  const std::string text = id_to_piece(id);
  std::string_view piece = text;
  if (first && strips_first() && piece.starts_with(kMark)) piece.remove_prefix(kMark.size());
  return with_spaces(piece);
}

std::unique_ptr<DecodeState> SentencePiece::start_decode(bool skip_special) const {
  return std::make_unique<SentencePieceDecode>(*this, skip_special);
}

}  // namespace

std::unique_ptr<Tokenizer> load_sentencepiece(const std::filesystem::path& path,
                                              std::string_view config) {
  return std::make_unique<SentencePiece>(path, config);
}

}  // namespace moge::text
