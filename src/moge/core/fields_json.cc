#include "moge/core/fields_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "moge/core/error.h"
#include "moge/core/names.h"

namespace moge {

namespace {

using Json = nlohmann::ordered_json;

template <class T>
constexpr const char* want_of() {
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_integral_v<T>) return "a whole number";
  if constexpr (std::is_floating_point_v<T>) return "a number";
  return "a text";
}

/// True where `value` holds a T without loss.
template <class T>
bool holds(const Json& value) {
  if constexpr (std::is_same_v<T, bool>) return value.is_boolean();
  if constexpr (std::is_floating_point_v<T>) return value.is_number();
  if constexpr (std::is_same_v<T, std::string>) return value.is_string();
  if constexpr (std::is_unsigned_v<T>) return value.is_number_unsigned();
  if constexpr (std::is_same_v<T, int64_t>)
    return value.is_number_integer() &&
           !(value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX);
  if constexpr (std::is_same_v<T, int>)
    return holds<int64_t>(value) && value.get<int64_t>() >= INT32_MIN &&
           value.get<int64_t>() <= INT32_MAX;
}

/// Assigns a JSON value to the members that a FieldValue may point to.
struct Setter {
  const Field& field;
  const Json& value;
  const std::string& source;

  [[noreturn]] void refuse(const Json& found, const char* want) const {
    std::string text = found.is_structured() ? found.type_name() : found.dump();
    if (text.size() > 60) text = text.substr(0, 57) + "...";
    throw UsageError(fmt::format("{}: {} is {}, want {}", source, field.name, text, want));
  }
  template <class T>
  T get(const Json& from) const {
    if (!holds<T>(from)) refuse(from, want_of<T>());
    return from.get<T>();
  }
  template <class T>
  void operator()(T* member) const {
    *member = get<T>(value);
  }
  template <class T>
  void operator()(std::optional<T>* member) const {
    if (value.is_null())
      member->reset();
    else
      *member = get<T>(value);
  }
  template <class T>
  void operator()(std::vector<T>* member) const {
    if (!value.is_array()) refuse(value, "a list");
    std::vector<T> values;
    for (const Json& element : value) values.push_back(get<T>(element));
    *member = std::move(values);
  }
  void operator()(const EnumRef& member) const {
    const std::string name = get<std::string>(value);
    const auto found = std::find(field.choices.begin(), field.choices.end(), name);
    if (found == field.choices.end())
      refuse(value, fmt::format("one of {}", fmt::join(field.choices, ", ")).c_str());
    member.set(member.object, static_cast<int>(found - field.choices.begin()));
  }
};

struct Getter {
  const Field& field;
  Json operator()(const EnumRef&) const { return to_text(field); }
  template <class T>
  Json operator()(std::optional<T>* member) const {
    return *member ? Json(**member) : Json(nullptr);
  }
  template <class T>
  Json operator()(T* member) const {
    return *member;
  }
};

std::string key_of(const Field& field) {
  std::string key = field.name;
  std::replace(key.begin(), key.end(), '-', '_');
  return key;
}

}  // namespace

Json fields_to_json(const std::vector<Field>& fields) {
  Json object = Json::object();
  for (const Field& field : fields) object[key_of(field)] = std::visit(Getter{field}, field.value);
  return object;
}

void set_from_json(const Field& field, const Json& value, const std::string& source) {
  std::visit(Setter{field, value, source}, field.value);
  try {
    check_limits(field);
  } catch (const UsageError& error) {
    throw UsageError(source + ": " + error.what(), error.where());
  }
}

void fields_from_json(const std::vector<Field>& fields, const Json& object,
                      const std::string& source) {
  for (const auto& [key, value] : object.items()) {
    const Field* field = find_field(fields, key);
    if (!field) {
      std::vector<std::string> names;
      for (const Field& known : fields) names.push_back(known.name);
      throw UsageError(fmt::format("{}: no option is called '{}'{}", source, key,
                                   did_you_mean(normal_name(key), names)));
    }
    set_from_json(*field, value, source);
  }
}

Json read_json_object(const std::string& path) {
  constexpr size_t kMaxBytes = size_t{16} << 20;
  std::ifstream file(path, std::ios::binary);
  if (!file) throw UsageError(fmt::format("{}: cannot be read", path));
  std::string text;
  for (char block[4096]; file.read(block, sizeof block), file.gcount() > 0;) {
    text.append(block, static_cast<size_t>(file.gcount()));
    if (text.size() > kMaxBytes)
      throw UsageError(fmt::format("{}: longer than {} bytes", path, kMaxBytes));
  }
  Json object;
  try {
    object = Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw UsageError(fmt::format("{}: not valid JSON at byte {}", path, error.byte));
  } catch (const Json::out_of_range&) {
    throw UsageError(fmt::format("{}: holds a number that no double holds", path));
  }
  if (!object.is_object()) throw UsageError(fmt::format("{}: not a JSON object", path));
  return object;
}

}  // namespace moge
