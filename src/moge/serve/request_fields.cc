#include "moge/serve/request_fields.h"

#include <array>
#include <cmath>
#include <limits>

namespace moge::serve {

namespace {

constexpr int kMaxDepth = 64;
constexpr int kMaxKeys = 1024;  // of one object: looking for a key takes a walk over all

/// Follows a parser and says what it must not build.
class Bounds {
 public:
  bool allow(int depth, Json::parse_event_t event) {
    if (depth > kMaxDepth) too_deep_ = true;
    if (event == Json::parse_event_t::object_start && depth < kMaxDepth) keys_[depth + 1] = 0;
    if (event == Json::parse_event_t::key && depth <= kMaxDepth && ++keys_[depth] > kMaxKeys)
      too_many_ = true;
    return !too_deep_ && !too_many_;
  }
  void require_kept() const {
    if (too_deep_) throw ApiError(400, fmt::format("the body nests deeper than {}", kMaxDepth));
    if (too_many_)
      throw ApiError(400, fmt::format("an object of the body has more than {} keys", kMaxKeys));
  }

 private:
  std::array<int, kMaxDepth + 2> keys_{};
  bool too_deep_ = false, too_many_ = false;
};

}  // namespace

Json parse_body(std::string_view body) {
  Bounds bounds;
  Json parsed;
  try {
    parsed = Json::parse(body, [&](int depth, Json::parse_event_t event, Json&) {
      return bounds.allow(depth, event);
    });
  } catch (const Json::parse_error& error) {
    throw ApiError(400, fmt::format("the body is not JSON: error at byte {}", error.byte));
  } catch (const Json::out_of_range&) {
    throw ApiError(400, "the body has a number that no double holds");
  }
  bounds.require_kept();
  if (!parsed.is_object()) throw ApiError(400, "the body is not a JSON object");
  return parsed;
}

const Json* find(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

bool read_bool(const Json& object, const char* key, bool otherwise) {
  const Json* value = find(object, key);
  if (!value) return otherwise;
  require(value->is_boolean(), key, "{} is not true or false", key);
  return value->get<bool>();
}

double read_number(const Json& object, const char* key, double otherwise) {
  const Json* value = find(object, key);
  if (!value) return otherwise;
  require(value->is_number(), key, "{} is not a number", key);
  const double number = value->get<double>();
  require(std::abs(number) <= std::numeric_limits<float>::max(), key, "{} is out of range", key);
  return number;
}

int64_t as_integer(const Json& value, const char* key) {
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() ||
                     value.get<uint64_t>() <= uint64_t{std::numeric_limits<int64_t>::max()});
  require(fits, key, "{} is not an integer", key);
  return value.get<int64_t>();
}

int64_t read_integer(const Json& object, const char* key, int64_t otherwise) {
  const Json* value = find(object, key);
  return value ? as_integer(*value, key) : otherwise;
}

int64_t read_integer_between(const Json& object, const char* key, int64_t otherwise, int64_t low,
                             int64_t high) {
  const int64_t value = read_integer(object, key, otherwise);
  require(value >= low && value <= high, key, "{} is {}, must be between {} and {}", key, value,
          low, high);
  return value;
}

std::string as_text(const Json& value, const char* key) {
  require(value.is_string(), key, "{} is not a string", key);
  return value.get<std::string>();
}

int32_t as_token(const Json& value, const char* key) {
  const int64_t id = as_integer(value, key);
  require(id >= 0 && id <= std::numeric_limits<int32_t>::max(), key, "{} has token id {}", key, id);
  return static_cast<int32_t>(id);
}

std::string read_text(const Json& object, const char* key, const char* otherwise) {
  const Json* value = find(object, key);
  return value ? as_text(*value, key) : otherwise;
}

void refuse_missing_features(const Json& body, std::initializer_list<const char*> fields) {
  for (const char* field : fields) {
    const Json* value = find(body, field);
    const bool is_none = !value || *value == Json(false) || *value == Json("") ||
                         (value->is_array() && value->empty());
    if (is_none) continue;
    throw ApiError(501, fmt::format("{} is not supported by this server", field), field);
  }
}

}  // namespace moge::serve
