#include "moge/grammar/test_validator.h"

#include <algorithm>
#include <cmath>
#include <regex>

namespace moge::grammar {

namespace {

using nlohmann::json;

int64_t length_of(const std::string& text) {
  int64_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

bool has_type(const json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  if (type == "number") return value.is_number();
  return value.is_number() && value.get<double>() == std::floor(value.get<double>());
}

bool has_any_type(const json& value, const json& types) {
  if (types.is_string()) return has_type(value, types);
  for (const json& type : types)
    if (has_type(value, type)) return true;
  return false;
}

bool is_multiple(double value, double of) {
  const double times = value / of;
  return std::abs(times - std::round(times)) < 1e-6 * std::max(1.0, std::abs(times));
}

class Validator {
 public:
  explicit Validator(const json& root) : root_(root) {}

  std::string check(const json& schema, const json& value) {
    if (schema.is_boolean()) return schema == true ? "" : "false";
    for (const auto& [key, what] : schema.items())
      if (!holds(schema, key, what, value)) return key + " " + what.dump() + " of " + value.dump();
    return "";
  }

 private:
  bool fits(const json& schema, const json& value) { return check(schema, value).empty(); }

  int count_fitting(const json& schemas, const json& value) {
    int count = 0;
    for (const json& schema : schemas) count += fits(schema, value);
    return count;
  }

  bool holds(const json& schema, const std::string& key, const json& what, const json& value) {
    if (key == "type") return has_any_type(value, what);
    if (key == "enum") return std::find(what.begin(), what.end(), value) != what.end();
    if (key == "const") return value == what;
    if (key == "anyOf" || key == "oneOf") return count_fitting(what, value) > 0;
    if (key == "allOf") return count_fitting(what, value) == static_cast<int>(what.size());
    if (key == "$ref")
      return fits(root_.at(json::json_pointer(what.get<std::string>().substr(1))), value);
    if (value.is_number()) return number_holds(key, what, value);
    if (value.is_string()) return string_holds(key, what, value);
    if (value.is_array()) return array_holds(schema, key, what, value);
    if (value.is_object()) return object_holds(schema, key, what, value);
    return true;
  }

  static bool number_holds(const std::string& key, const json& what, const json& value) {
    if (key == "minimum") return value >= what;
    if (key == "maximum") return value <= what;
    if (key == "exclusiveMinimum") return value > what;
    if (key == "exclusiveMaximum") return value < what;
    if (key == "multipleOf") return is_multiple(value.get<double>(), what.get<double>());
    return true;
  }

  static bool string_holds(const std::string& key, const json& what, const std::string& value) {
    if (key == "minLength") return length_of(value) >= what;
    if (key == "maxLength") return length_of(value) <= what;
    if (key == "pattern") return std::regex_search(value, std::regex(what.get<std::string>()));
    return true;
  }

  bool array_holds(const json& schema, const std::string& key, const json& what,
                   const json& value) {
    if (key == "minItems") return value.size() >= what;
    if (key == "maxItems") return value.size() <= what;
    if (key == "prefixItems") {
      for (size_t i = 0; i < std::min(value.size(), what.size()); ++i)
        if (!fits(what[i], value[i])) return false;
    }
    if (key == "items")
      for (size_t i = schema.contains("prefixItems") ? schema["prefixItems"].size() : 0;
           i < value.size(); ++i)
        if (!fits(what, value[i])) return false;
    return true;
  }

  bool object_holds(const json& schema, const std::string& key, const json& what,
                    const json& value) {
    if (key == "minProperties") return value.size() >= what;
    if (key == "maxProperties") return value.size() <= what;
    if (key == "required")
      for (const json& name : what)
        if (!value.contains(name.get<std::string>())) return false;
    for (const auto& [name, member] : value.items()) {
      if (key == "properties" && what.contains(name) && !fits(what[name], member)) return false;
      if (key == "additionalProperties" && !is_declared(schema, name) && !fits(what, member))
        return false;
      if (key == "patternProperties")
        for (const auto& [pattern, inner] : what.items())
          if (std::regex_search(name, std::regex(pattern)) && !fits(inner, member)) return false;
    }
    return true;
  }

  static bool is_declared(const json& schema, const std::string& name) {
    if (schema.contains("properties") && schema["properties"].contains(name)) return true;
    if (schema.contains("patternProperties"))
      for (const auto& [pattern, inner] : schema["patternProperties"].items())
        if (std::regex_search(name, std::regex(pattern))) return true;
    return false;
  }

  const json& root_;
};

}  // namespace

std::string invalid_because(const json& schema, const json& value, const json& root) {
  return Validator(root).check(schema, value);
}

}  // namespace moge::grammar
