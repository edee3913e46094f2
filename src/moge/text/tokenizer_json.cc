// A tokenizer.json of the Hugging Face library with a BPE model.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "moge/core/error.h"
#include "moge/text/added_tokens.h"
#include "moge/text/bpe.h"
#include "moge/text/decoder.h"
#include "moge/text/json_node.h"
#include "moge/text/normalizer.h"
#include "moge/text/post_processor.h"
#include "moge/text/pre_tokenizer.h"
#include "moge/text/tokenizer.h"
#include "moge/text/tokenizer_config.h"
#include "moge/text/utf8.h"

namespace moge {

namespace text {

namespace {

constexpr size_t kMaxTextBytes = size_t{1} << 30;

/// Token texts by id. Ids may have gaps, but not so many that a small file asks for much memory.
std::vector<std::string> read_vocab(const JsonNode& node) {
  if (!node.value().is_object()) node.refuse("is no object");
  const size_t count = node.value().size();
  const auto limit = std::min<int64_t>(kMaxTokenId, static_cast<int64_t>(count) * 2 + 65536);
  std::vector<std::string> tokens(count);
  for (const auto& [token, value] : node.value().items()) {
    const bool fits =
        value.is_number_unsigned() && value.get<uint64_t>() <= static_cast<uint64_t>(limit);
    if (!fits) node.refuse(fmt::format("gives '{}' the id {}", token, value.dump()));
    const auto id = value.get<size_t>();
    if (id >= tokens.size()) tokens.resize(id + 1);
    if (token.empty()) node.refuse(fmt::format("has an empty token, id {}", id));
    if (tokens[id].empty()) tokens[id] = token;
  }
  return tokens;
}

/// ["a", "b"], or "a b" in older files.
Bpe::Merge read_merge(const JsonNode& node) {
  const nlohmann::json& value = node.value();
  if (value.is_array() && value.size() == 2 && value[0].is_string() && value[1].is_string())
    return {value[0].get<std::string>(), value[1].get<std::string>()};
  if (!value.is_string()) node.refuse("is neither a pair nor a text");
  const std::string text = value.get<std::string>();
  const size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
    node.refuse("'" + text + "' is not two tokens with a space between");
  return {text.substr(0, space), text.substr(space + 1)};
}

std::unique_ptr<Bpe> read_model(const JsonNode& node) {
  if (node.has("type") && node.string("type") != "BPE")
    node.refuse("has type " + node.string("type") + "; read is BPE");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (node.has(key) && !node.string(key).empty())
      node.at(key).refuse("is '" + node.string(key) + "', which is not supported");
  if (node.has("dropout") && node.at("dropout").value() != 0.0)
    node.at("dropout").refuse("is set: its ids would be random");
  BpeOptions options;
  if (node.has("unk_token")) options.unk_token = node.string("unk_token");
  options.fuse_unk = node.boolean("fuse_unk", false);
  options.byte_fallback = node.boolean("byte_fallback", false);
  options.ignore_merges = node.boolean("ignore_merges", false);
  std::vector<Bpe::Merge> merges;
  for (const JsonNode& merge : node.children("merges")) {
    const bool is_header = merge.value().is_string() && merge.string().starts_with("#version");
    if (!is_header) merges.push_back(read_merge(merge));
  }
  try {
    return std::make_unique<Bpe>(read_vocab(node.at("vocab")), merges, options);
  } catch (const Error& error) {
    if (std::string_view(error.what()).starts_with("[")) throw;
    fail("[tokenizer] {}: {}", node.where(), error.what());
  }
}

}  // namespace

class JsonTokenizer : public Tokenizer {
 public:
  JsonTokenizer(const JsonNode& file, const TokenizerConfig& config);

  std::vector<int32_t> encode(std::string_view text, bool add_special) const override;
  int64_t vocab_size() const override { return vocab_size_; }
  std::string id_to_piece(int32_t id) const override;
  std::optional<int32_t> piece_to_id(std::string_view piece) const override;
  bool is_special(int32_t id) const override { return special_.contains(id); }
  SpecialIds special_ids() const override { return special_ids_; }
  std::string token_bytes(int32_t id, bool first) const override;
  std::unique_ptr<DecodeState> start_decode(bool skip_special) const override;

 private:
  void add_token(AddedToken token);
  void encode_part(std::string_view part, bool at_start, std::vector<int32_t>& ids) const;
  std::string normalized(std::string_view text) const;
  size_t normalized_size_of_first(std::string_view text) const;

  std::unique_ptr<Bpe> model_;
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  Surrounding surrounding_;
  std::vector<DecodeChain::Factory> decoder_, raw_decoder_;
  AddedTokenFinder raw_tokens_, normalized_tokens_;
  std::unordered_map<std::string, int32_t> added_ids_;
  std::unordered_map<int32_t, std::string> added_pieces_;
  std::unordered_set<int32_t> special_;
  SpecialIds special_ids_;
  int64_t vocab_size_ = 0;
  int32_t max_added_ = -1;
};

namespace {

class JsonDecodeState : public DecodeState {
 public:
  JsonDecodeState(const JsonTokenizer& tokenizer, const std::vector<DecodeChain::Factory>& steps,
                  bool skip_special)
      : tokenizer_(tokenizer), chain_(steps), skip_special_(skip_special) {}

  void push(int32_t id, std::string& out) override {
    if (skip_special_ && tokenizer_.is_special(id)) return;
    const std::string piece = tokenizer_.id_to_piece(id);
    if (!piece.empty()) chain_.take(piece, out);
  }
  void finish(std::string& out) override { chain_.finish(out); }

 private:
  const JsonTokenizer& tokenizer_;
  DecodeChain chain_;
  bool skip_special_;
};

JsonNode optional_part(const JsonNode& file, const char* key) {
  static const nlohmann::json null;
  return file.has(key) ? file.at(key) : JsonNode(null, key);
}

}  // namespace

JsonTokenizer::JsonTokenizer(const JsonNode& file, const TokenizerConfig& config) {
  if (file.has("version") && file.string("version") != "1.0")
    file.at("version").refuse("is '" + file.string("version") + "'; read is 1.0");
  model_ = read_model(file.at("model"));
  vocab_size_ = static_cast<int64_t>(model_->tokens().size());
  normalizer_ = make_normalizer(optional_part(file, "normalizer"));
  pre_tokenizer_ = make_pre_tokenizer(optional_part(file, "pre_tokenizer"));
  surrounding_ = read_post_processor(optional_part(file, "post_processor"));
  decoder_ = make_decoder(optional_part(file, "decoder"), /*raw=*/false);
  raw_decoder_ = make_decoder(optional_part(file, "decoder"), /*raw=*/true);
  // "truncation" and "padding" are left-overs of a training run; a single text needs neither.
  if (file.has("added_tokens"))
    for (const JsonNode& node : file.children("added_tokens")) add_token(read_added_token(node));
  for (const AddedToken& token : config.added)
    if (!added_ids_.contains(token.content)) add_token(token);
  const auto id = [&](const std::optional<std::string>& name) {
    return name ? piece_to_id(*name) : std::nullopt;
  };
  special_ids_ = {id(config.bos), id(config.eos), id(config.pad), id(config.unk)};
}

/// As the library numbers them: the vocabulary's id, else the next free one.
void JsonTokenizer::add_token(AddedToken token) {
  if (token.content.empty() || added_ids_.contains(token.content)) return;
  token.id = model_->find(token.content).value_or(std::max(max_added_ + 1, model_->size()));
  max_added_ = std::max(max_added_, token.id);
  vocab_size_ = std::max<int64_t>(vocab_size_, token.id + 1);
  added_ids_[token.content] = token.id;
  // The library shows a normalized token in its normal form, and knows it as special only by the
  // form of the file.
  const std::string piece = token.normalized ? normalized(token.content) : token.content;
  added_pieces_[token.id] = piece;
  if (token.special && piece == token.content) special_.insert(token.id);
  (token.normalized ? normalized_tokens_ : raw_tokens_).add(token, piece);
}

std::string JsonTokenizer::normalized(std::string_view text) const {
  std::string out(text);
  if (normalizer_) normalizer_(out);
  return out;
}

/// What the first character alone becomes, seen in front of a character that nothing changes.
size_t JsonTokenizer::normalized_size_of_first(std::string_view text) const {
  constexpr std::string_view kPrivateUse = "\xEE\x80\x80";
  const auto size = static_cast<size_t>(utf8_length(text[0]));
  if (!normalizer_) return size;
  const std::string both = normalized(std::string(text.substr(0, size)).append(kPrivateUse));
  return std::min(both.rfind(kPrivateUse), both.size());
}

std::vector<int32_t> JsonTokenizer::encode(std::string_view text, bool add_special) const {
  check(text.size() <= kMaxTextBytes, "[tokenizer] a text of {} bytes is too long, at most {}",
        text.size(), kMaxTextBytes);
  std::string repaired;
  if (!is_valid_utf8(text)) text = repaired = replace_invalid_utf8(text);
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 16);
  if (add_special) ids = surrounding_.before;
  raw_tokens_.split(text, [&](size_t begin, size_t end, int32_t id) {
    if (id >= 0)
      ids.push_back(id);
    else
      encode_part(text.substr(begin, end - begin), begin == 0, ids);
  });
  if (add_special) ids.insert(ids.end(), surrounding_.after.begin(), surrounding_.after.end());
  return ids;
}

void JsonTokenizer::encode_part(std::string_view part, bool at_start,
                                std::vector<int32_t>& ids) const {
  Pieces pieces;
  pieces.text = normalized(part);
  check(pieces.text.size() <= kMaxTextBytes,
        "[tokenizer] a normalized text of {} bytes is too long", pieces.text.size());
  const size_t head = at_start ? normalized_size_of_first(part) : 0;
  normalized_tokens_.split(pieces.text, [&](size_t begin, size_t end, int32_t id) {
    Piece p;
    p.begin = static_cast<uint32_t>(begin);
    p.end = static_cast<uint32_t>(end);
    p.id = id;
    p.head = static_cast<uint32_t>(std::min(std::max(head, begin), end) - begin);
    pieces.list.push_back(p);
  });
  if (pre_tokenizer_) pre_tokenizer_(pieces);
  for (const Piece& p : pieces.list) {
    if (p.id >= 0)
      ids.push_back(p.id);
    else
      model_->encode(pieces.view(p), ids);
  }
}

std::string JsonTokenizer::id_to_piece(int32_t id) const {
  if (const auto found = added_pieces_.find(id); found != added_pieces_.end()) return found->second;
  const auto& tokens = model_->tokens();
  return id >= 0 && id < static_cast<int32_t>(tokens.size()) ? tokens[id] : "";
}

std::optional<int32_t> JsonTokenizer::piece_to_id(std::string_view piece) const {
  if (const auto found = added_ids_.find(std::string(piece)); found != added_ids_.end())
    return found->second;
  return model_->find(piece);
}

std::string JsonTokenizer::token_bytes(int32_t id, bool first) const {
  const std::string piece = id_to_piece(id);
  if (piece.empty()) return "";
  DecodeChain chain(raw_decoder_);
  std::string out;
  if (!first) chain.take("x", out);
  chain.take(piece, out);
  chain.finish(out);
  if (first) return out;
  return out.starts_with('x') ? out.substr(1) : "";
}

std::unique_ptr<DecodeState> JsonTokenizer::start_decode(bool skip_special) const {
  return std::make_unique<JsonDecodeState>(*this, decoder_, skip_special);
}

}  // namespace text

std::unique_ptr<Tokenizer> Tokenizer::from_json(std::string_view tokenizer_json,
                                                std::string_view config, const std::string& where) {
  const nlohmann::json json = text::parse_json(tokenizer_json, where);
  const auto slash = where.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : where.substr(0, slash + 1);
  return std::make_unique<text::JsonTokenizer>(
      text::JsonNode(json, where),
      text::read_tokenizer_config(config, folder + "tokenizer_config.json"));
}

}  // namespace moge
