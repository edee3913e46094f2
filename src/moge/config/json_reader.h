// Typed look-ups in a JSON object; every complaint names the source, the key and the value.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "moge/core/error.h"

namespace moge {

class JsonReader {
 public:
  JsonReader(const nlohmann::json& object, std::string where)
      : object_(object), where_(std::move(where)) {
    check(object.is_object(), "{}: is not a JSON object", where_);
  }

  const std::string& where() const { return where_; }
  /// The value, or null where the key is absent or holds null.
  const nlohmann::json* find(const char* key) const {
    const auto it = object_.find(key);
    return it == object_.end() || it->is_null() ? nullptr : &*it;
  }
  bool has_key(const char* key) const { return object_.contains(key); }

  int64_t integer(const char* key, int64_t otherwise, int64_t low, int64_t high) const {
    const auto* value = find(key);
    const int64_t n = value ? as_integer(key, *value) : otherwise;
    check(low <= n && n <= high, "{}: {} is {}, must be between {} and {}", where_, key, n, low,
          high);
    return n;
  }
  double number(const char* key, double otherwise, double low, double high) const {
    const auto* value = find(key);
    check(!value || value->is_number(), "{}: {} is {}, must be a number", where_, key,
          value ? shown(*value) : "");
    const double x = value ? value->get<double>() : otherwise;
    check(low <= x && x <= high, "{}: {} is {}, must be between {} and {}", where_, key, x, low,
          high);
    return x;
  }
  bool boolean(const char* key, bool otherwise) const {
    const auto* value = find(key);
    check(!value || value->is_boolean(), "{}: {} is {}, must be true or false", where_, key,
          value ? shown(*value) : "");
    return value ? value->get<bool>() : otherwise;
  }
  std::string text(const char* key, const std::string& otherwise) const {
    const auto* value = find(key);
    check(!value || value->is_string(), "{}: {} is {}, must be a string", where_, key,
          value ? shown(*value) : "");
    return value ? value->get<std::string>() : otherwise;
  }
  int64_t as_integer(const char* key, const nlohmann::json& value) const {
    check(value.is_number_integer() &&
              (!value.is_number_unsigned() || value.get<uint64_t>() <= uint64_t{INT64_MAX}),
          "{}: {} is {}, must be a whole number", where_, key, shown(value));
    return value.get<int64_t>();
  }
  /// A value short enough for a message; bytes that are no UTF-8 are replaced.
  static std::string shown(const nlohmann::json& value) {
    const std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    return text.size() <= 60 ? text : text.substr(0, 57) + "...";
  }

 private:
  const nlohmann::json& object_;
  std::string where_;
};

}  // namespace moge
