#include "moge/text/tokenizer_config.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace moge::text {

namespace {

/// "bos_token": "<s>", or an object with its content, or null.
std::optional<std::string> named_token(const JsonNode& config, const char* key) {
  if (!config.has(key)) return {};
  const JsonNode node = config.at(key);
  if (node.value().is_object()) return node.string("content");
  return node.string();
}

int32_t id_of(const JsonNode& node, const std::string& key) {
  int32_t id = -1;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
  if (error != std::errc() || end != key.data() + key.size() || id < 0 || id > kMaxTokenId)
    node.refuse("has the key '" + key + "', which is no token id");
  return id;
}

}  // namespace

AddedToken read_added_token(const JsonNode& node) {
  AddedToken token;
  token.content = node.string("content");
  token.special = node.boolean("special", false);
  token.single_word = node.boolean("single_word", false);
  token.lstrip = node.boolean("lstrip", false);
  token.rstrip = node.boolean("rstrip", false);
  token.normalized = node.boolean("normalized", !token.special);
  return token;
}

TokenizerConfig read_tokenizer_config(std::string_view text, const std::string& where) {
  TokenizerConfig out;
  if (text.empty()) return out;
  const nlohmann::json json = parse_json(text, where);
  const JsonNode config(json, where);
  out.bos = named_token(config, "bos_token");
  out.eos = named_token(config, "eos_token");
  out.pad = named_token(config, "pad_token");
  out.unk = named_token(config, "unk_token");
  if (!config.has("added_tokens_decoder")) return out;
  const JsonNode added = config.at("added_tokens_decoder");
  if (!added.value().is_object()) added.refuse("is no object");
  for (const auto& [key, value] : added.value().items()) {
    AddedToken token = read_added_token(added.at(key.c_str()));
    token.id = id_of(added, key);
    out.added.push_back(std::move(token));
  }
  std::sort(out.added.begin(), out.added.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return out;
}

}  // namespace moge::text
