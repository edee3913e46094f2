#include "moge/text/tokenizer_files.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "moge/core/error.h"
#include "moge/core/files.h"
#include "moge/text/pieces.h"

namespace moge::text {

namespace {

using Json = nlohmann::ordered_json;

Json added_token(const std::string& content) {
  return {{"content", content}, {"single_word", false}, {"lstrip", false},
          {"rstrip", false},    {"normalized", false},  {"special", true}};
}

Json pre_tokenizer(const std::string& expression) {
  const Json bytes = {{"type", "ByteLevel"},
                      {"add_prefix_space", false},
                      {"trim_offsets", true},
                      {"use_regex", false}};
  if (expression.empty()) return bytes;
  const Json split = {{"type", "Split"},
                      {"pattern", {{"Regex", expression}}},
                      {"behavior", "Isolated"},
                      {"invert", false}};
  return {{"type", "Sequence"}, {"pretokenizers", Json::array({split, bytes})}};
}

Json model(const ByteLevelVocabulary& v) {
  Json vocab = Json::object(), merges = Json::array();
  for (size_t id = 0; id < v.tokens.size(); ++id) vocab[spell_bytes(v.tokens[id])] = id;
  for (const auto& [left, right] : v.merges)
    merges.push_back({spell_bytes(left), spell_bytes(right)});
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false},
          {"vocab", std::move(vocab)},
          {"merges", std::move(merges)}};
}

std::string tokenizer_json(const ByteLevelVocabulary& v) {
  Json added = Json::array();
  for (size_t i = 0; i < v.special_tokens.size(); ++i) {
    Json token = {{"id", v.tokens.size() + i}};
    token.update(added_token(v.special_tokens[i]));
    added.push_back(std::move(token));
  }
  const Json offsets = {{"type", "ByteLevel"},
                        {"add_prefix_space", true},
                        {"trim_offsets", false},
                        {"use_regex", true}};
  const Json json = {{"version", "1.0"},          {"truncation", nullptr},
                     {"padding", nullptr},        {"added_tokens", std::move(added)},
                     {"normalizer", nullptr},     {"pre_tokenizer", pre_tokenizer(v.expression)},
                     {"post_processor", offsets}, {"decoder", offsets},
                     {"model", model(v)}};
  return json.dump(1) + "\n";
}

std::string config_json(const ByteLevelVocabulary& v) {
  Json added = Json::object();
  for (size_t i = 0; i < v.special_tokens.size(); ++i)
    added[std::to_string(v.tokens.size() + i)] = added_token(v.special_tokens[i]);
  const auto name = [](const std::string& token) { return token.empty() ? Json() : Json(token); };
  Json json = {{"added_tokens_decoder", std::move(added)},
               {"bos_token", name(v.bos)},
               {"eos_token", name(v.eos)},
               {"pad_token", name(v.pad)},
               {"unk_token", nullptr},
               {"clean_up_tokenization_spaces", false},
               {"model_input_names", {"input_ids", "attention_mask"}},
               {"tokenizer_class", "PreTrainedTokenizerFast"}};
  if (!v.chat_template.empty()) json["chat_template"] = v.chat_template;
  return json.dump(1) + "\n";
}

}  // namespace

TokenizerFiles tokenizer_files(const ByteLevelVocabulary& vocabulary) {
  return {tokenizer_json(vocabulary), config_json(vocabulary)};
}

void write_tokenizer(const std::filesystem::path& folder, const TokenizerFiles& files) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  check(!error, "[tokenizer] cannot make the folder {}: {}", folder.string(), error.message());
  write_file(folder / "tokenizer_config.json", files.config_json);
  write_file(folder / "tokenizer.json", files.tokenizer_json);
}

std::vector<std::string> byte_tokens() {
  std::vector<int> bytes(256);
  for (int b = 0; b < 256; ++b) bytes[b] = b;
  std::sort(bytes.begin(), bytes.end(), [](int a, int b) {
    return ByteAlphabet::character(static_cast<unsigned char>(a)) <
           ByteAlphabet::character(static_cast<unsigned char>(b));
  });
  std::vector<std::string> tokens;
  for (const int b : bytes) tokens.emplace_back(1, static_cast<char>(b));
  return tokens;
}

TokenizerFiles byte_tokenizer_files(int64_t vocab_size) {
  ByteLevelVocabulary v;
  v.tokens = byte_tokens();
  v.special_tokens = kSpecialTokens;
  const auto needed = static_cast<int64_t>(v.tokens.size() + v.special_tokens.size());
  check(vocab_size >= needed, "[tokenizer] a byte tokenizer has {} ids, but the vocabulary only {}",
        needed, vocab_size);
  v.eos = v.pad = kSpecialTokens[0];
  return tokenizer_files(v);
}

}  // namespace moge::text
