// Reading JSON bodies field by field: each wrong one becomes an ApiError 400 with the field's name.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "moge/core/error.h"
#include "moge/serve/api_error.h"

namespace moge::serve {

using Json = nlohmann::ordered_json;

template <class... Args>
void require(bool condition, const char* field, fmt::format_string<Args...> message,
             Args&&... args) {
  if (!condition) throw ApiError(400, fmt::format(message, std::forward<Args>(args)...), field);
}

/// The body as an object, its keys in the order they came (a template prints tools in that order);
/// refuses what nests too deep or has too many keys before it is built.
Json parse_body(std::string_view body);

/// The value of `key`, or null where it is absent or null.
const Json* find(const Json& object, const char* key);

/// Each reads `key` of an object, `otherwise` where it is absent or null.
bool read_bool(const Json& object, const char* key, bool otherwise);
double read_number(const Json& object, const char* key, double otherwise);
int64_t read_integer(const Json& object, const char* key, int64_t otherwise);
int64_t read_integer_between(const Json& object, const char* key, int64_t otherwise, int64_t low,
                             int64_t high);
std::string read_text(const Json& object, const char* key, const char* otherwise = "");

/// Each takes the value of the field `key`.
int64_t as_integer(const Json& value, const char* key);
std::string as_text(const Json& value, const char* key);
int32_t as_token(const Json& value, const char* key);

/// 501 for fields that would change the answer and that this server does not have.
void refuse_missing_features(const Json& body, std::initializer_list<const char*> fields);

}  // namespace moge::serve
