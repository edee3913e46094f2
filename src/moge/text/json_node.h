// A value inside tokenizer.json that knows where it stands, so that every error names file and
// field.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace moge::text {

class JsonNode {
 public:
  JsonNode(const nlohmann::json& value, std::string where)
      : value_(&value), where_(std::move(where)) {}

  const nlohmann::json& value() const { return *value_; }
  const std::string& where() const { return where_; }  ///< "DIR/tokenizer.json: model.vocab"

  bool is_null() const;
  bool has(const char* key) const;  ///< present and not null
  JsonNode at(const char* key) const;
  std::vector<JsonNode> children(const char* key) const;  ///< of an array

  std::string string() const;
  std::string string(const char* key) const { return at(key).string(); }
  bool boolean(const char* key) const;
  bool boolean(const char* key, bool absent) const { return has(key) ? boolean(key) : absent; }
  int64_t integer(const char* key, int64_t low, int64_t high) const;
  char32_t character(const char* key) const;  ///< a string of exactly one character

  /// Throws Error "[tokenizer] WHERE: WHY".
  [[noreturn]] void refuse(const std::string& why) const;

 private:
  JsonNode child(const nlohmann::json& value, const std::string& suffix) const;
  const nlohmann::json* value_;
  std::string where_;
};

/// Parses a whole text; throws Error naming `where` and the byte of a mistake.
nlohmann::json parse_json(std::string_view text, const std::string& where);

}  // namespace moge::text
