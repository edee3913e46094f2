#include "moge/text/json_node.h"

#include <nlohmann/json.hpp>

#include "moge/core/error.h"
#include "moge/text/utf8.h"

namespace moge::text {

JsonNode JsonNode::child(const nlohmann::json& value, const std::string& suffix) const {
  const bool is_file = where_.find(": ") == std::string::npos;
  const std::string dot = suffix[0] == '[' ? "" : ".";
  return {value, where_ + (is_file ? ": " : dot) + suffix};
}

bool JsonNode::is_null() const { return value_->is_null(); }

bool JsonNode::has(const char* key) const {
  if (!value_->is_object()) refuse("is no object");
  const auto found = value_->find(key);
  return found != value_->end() && !found->is_null();
}

JsonNode JsonNode::at(const char* key) const {
  if (!value_->is_object()) refuse("is no object");
  const auto found = value_->find(key);
  if (found == value_->end()) refuse(std::string("has no ") + key);
  return child(*found, key);
}

std::vector<JsonNode> JsonNode::children(const char* key) const {
  const JsonNode array = at(key);
  if (!array.value().is_array()) array.refuse("is no array");
  std::vector<JsonNode> out;
  out.reserve(array.value().size());
  for (const nlohmann::json& value : array.value())
    out.push_back(array.child(value, "[" + std::to_string(out.size()) + "]"));
  return out;
}

std::string JsonNode::string() const {
  if (!value_->is_string()) refuse("is no string");
  return value_->get<std::string>();
}

bool JsonNode::boolean(const char* key) const {
  const JsonNode node = at(key);
  if (!node.value().is_boolean()) node.refuse("is neither true nor false");
  return node.value().get<bool>();
}

int64_t JsonNode::integer(const char* key, int64_t low, int64_t high) const {
  const JsonNode node = at(key);
  const nlohmann::json& v = node.value();
  const bool fits = v.is_number_unsigned() ? v.get<uint64_t>() <= static_cast<uint64_t>(high)
                                           : v.is_number_integer();
  if (!fits || v.get<int64_t>() < low || v.get<int64_t>() > high)
    node.refuse(fmt::format("is no whole number from {} to {}", low, high));
  return v.get<int64_t>();
}

char32_t JsonNode::character(const char* key) const {
  const JsonNode node = at(key);
  const std::string s = node.string();
  const CodePoint c = s.empty() ? CodePoint{} : decode_utf8(s);
  if (s.empty() || static_cast<size_t>(c.size) != s.size())
    node.refuse(fmt::format("'{}' is not one character", s));
  return c.value;
}

void JsonNode::refuse(const std::string& why) const { fail("[tokenizer] {} {}", where_, why); }

nlohmann::json parse_json(std::string_view text, const std::string& where) {
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    fail("[tokenizer] {}: no valid JSON at byte {} of {}", where, error.byte, text.size());
  } catch (const nlohmann::json::exception&) {
    fail("[tokenizer] {}: holds a number that is out of range", where);
  }
}

}  // namespace moge::text
