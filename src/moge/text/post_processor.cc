#include "moge/text/post_processor.h"

#include <nlohmann/json.hpp>

#include "moge/text/normalizer.h"
#include "moge/text/tokenizer_config.h"

namespace moge::text {

namespace {

std::vector<int32_t> ids_of(const JsonNode& special_tokens, const JsonNode& name) {
  const JsonNode token = special_tokens.at(name.string().c_str());
  std::vector<int32_t> ids;
  for (const JsonNode& id : token.children("ids")) {
    const nlohmann::json& v = id.value();
    if (!v.is_number_unsigned() || v.get<uint64_t>() > static_cast<uint64_t>(kMaxTokenId))
      id.refuse("is no token id");
    ids.push_back(v.get<int32_t>());
  }
  return ids;
}

Surrounding read_template(const JsonNode& node) {
  Surrounding out;
  bool seen = false;
  for (const JsonNode& part : node.children("single")) {
    if (part.has("Sequence")) {
      if (seen || part.at("Sequence").string("id") != "A")
        part.refuse("asks for another text than one 'A'");
      seen = true;
    } else {
      const auto ids = ids_of(node.at("special_tokens"), part.at("SpecialToken").at("id"));
      auto& side = seen ? out.after : out.before;
      side.insert(side.end(), ids.begin(), ids.end());
    }
  }
  if (!seen) node.refuse("has no text 'A' in single");
  return out;
}

Surrounding read(const JsonNode& node, int depth) {
  const std::string type = node.string("type");
  if (type == "ByteLevel") return {};
  if (type == "TemplateProcessing") return read_template(node);
  if (type != "Sequence")
    node.refuse("has type " + type + "; read are TemplateProcessing, ByteLevel, Sequence");
  if (depth == kMaxNesting) node.refuse("is nested too deep");
  Surrounding out;
  for (const JsonNode& child : node.children("processors")) {
    Surrounding one = read(child, depth + 1);
    const bool is_empty = out.before.empty() && out.after.empty();
    if (!is_empty && !(one.before.empty() && one.after.empty()))
      child.refuse("is a second template");
    if (is_empty) out = std::move(one);
  }
  return out;
}

}  // namespace

Surrounding read_post_processor(const JsonNode& node) {
  if (node.is_null()) return {};
  return read(node, 0);
}

}  // namespace moge::text
