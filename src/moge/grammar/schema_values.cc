#include "moge/grammar/schema_values.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace moge::grammar {

namespace {

bool is_whole(const Json& value) {
  return value.is_number() && value.get<double>() == std::floor(value.get<double>());
}

double value_of(const Decimal& d) {
  return std::stod((d.negative ? "-" : "") + ("0" + d.whole) + "." + d.fraction + "0");
}

/// Order of members does not count.
bool is_equal(const Json& a, const Json& b) {
  if (a.is_object() && b.is_object()) {
    if (a.size() != b.size()) return false;
    for (const auto& [key, value] : a.items())
      if (!b.contains(key) || !is_equal(value, b[key])) return false;
    return true;
  }
  if (a.is_array() && b.is_array())
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), is_equal);
  return a == b;
}

}  // namespace

bool ValueFilter::admits(const Json& value) const {
  if (!has_type(value) || !is_in_every_set(value)) return false;
  if (value.is_string()) return strings_.admits(facts_, value.get<std::string>());
  if (value.is_number()) return is_in_bounds(value);
  if ((value.is_object() && facts_.shapes_objects) || (value.is_array() && facts_.shapes_arrays))
    document_.refuse(schema_,
                     "has an enum or const of objects or lists together with keywords "
                     "about them, which is not supported");
  return true;
}

bool ValueFilter::has_type(const Json& value) const {
  uint8_t bits = 0;
  if (value.is_object()) bits = kObject;
  if (value.is_array()) bits = kArray;
  if (value.is_string()) bits = kString;
  if (value.is_number()) bits = is_whole(value) ? kNumber | kInteger : kNumber;
  if (value.is_boolean()) bits = kBoolean;
  if (value.is_null()) bits = kNull;
  return (facts_.types & bits) != 0;
}

bool ValueFilter::is_in_bounds(const Json& value) const {
  const double number = value.get<double>();
  const auto& [low, high, integer, multiple_of, max_fraction] = facts_.bounds;
  if (low && (number < value_of(low->value) || (low->open && number == value_of(low->value))))
    return false;
  if (high && (number > value_of(high->value) || (high->open && number == value_of(high->value))))
    return false;
  if (multiple_of) return std::fmod(number, static_cast<double>(*multiple_of)) == 0;
  return max_fraction == 15 ||
         decimal_of(value.dump()).fraction.size() <= static_cast<size_t>(max_fraction);
}

bool ValueFilter::is_in_every_set(const Json& value) const {
  return std::all_of(facts_.value_sets.begin(), facts_.value_sets.end(), [&](const auto& set) {
    return std::any_of(set.begin(), set.end(),
                       [&](const Json* other) { return is_equal(value, *other); });
  });
}

}  // namespace moge::grammar
