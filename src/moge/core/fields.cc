#include "moge/core/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "moge/core/error.h"
#include "moge/core/names.h"

namespace moge {

namespace {

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>  // Clang 16 does not deduce it
Overloaded(Visitors...)->Overloaded<Visitors...>;

[[noreturn]] void refuse(const Field& field, std::string_view text, std::string_view want) {
  throw UsageError(fmt::format("--{}: '{}' is not {}", field.name, text, want));
}

template <class T>
T parse_number(const Field& field, std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  constexpr const char* kWant = std::is_floating_point_v<T> ? "a number"
                                : std::is_unsigned_v<T>     ? "a whole number from 0 on"
                                                            : "a whole number";
  if (error == std::errc::result_out_of_range) refuse(field, text, "within the type's range");
  if (error != std::errc() || rest != end) refuse(field, text, kWant);
  if constexpr (std::is_floating_point_v<T>)
    if (std::isnan(value)) refuse(field, text, kWant);
  return value;
}

bool parse_bool(const Field& field, std::string_view text) {
  if (text == "true" || text == "1" || text == "on" || text == "yes") return true;
  if (text == "false" || text == "0" || text == "off" || text == "no") return false;
  refuse(field, text, "true or false");
}

std::vector<std::string> split_commas(const std::vector<std::string>& texts) {
  std::vector<std::string> parts;
  for (const std::string& text : texts)
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(',', begin), text.size());
      parts.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
  return parts;
}

template <class T>
std::vector<T> parse_list(const Field& field, const std::vector<std::string>& texts) {
  std::vector<T> values;
  for (const std::string& text : split_commas(texts))
    values.push_back(parse_number<T>(field, text));
  return values;
}

int choice_index(const Field& field, std::string_view text) {
  const auto found = std::find(field.choices.begin(), field.choices.end(), text);
  if (found == field.choices.end())
    throw UsageError(
        fmt::format("--{}: '{}' is none of {}", field.name, text, fmt::join(field.choices, ", ")));
  return static_cast<int>(found - field.choices.begin());
}

void check_range(const Field& field, double value) {
  if (value >= field.min && value <= field.max) return;
  if (std::isinf(field.max))
    throw UsageError(fmt::format("--{}: {} is less than {}", field.name, value, field.min));
  throw UsageError(
      fmt::format("--{}: {} is not between {} and {}", field.name, value, field.min, field.max));
}

}  // namespace

Field& Field::one_of(std::initializer_list<const char*> names) {
  choices.assign(names.begin(), names.end());
  return *this;
}

bool Field::is_list() const {
  return std::holds_alternative<std::vector<int64_t>*>(value) ||
         std::holds_alternative<std::vector<double>*>(value) ||
         std::holds_alternative<std::vector<std::string>*>(value);
}

bool Field::has_name(std::string_view text) const {
  const std::string normal = normal_name(text);
  return name == normal || std::find(aliases.begin(), aliases.end(), normal) != aliases.end();
}

Field& FieldList::add(const char* name, FieldValue value, const char* help) {
  fields_.push_back({.name = normal_name(name), .value = value, .help = help});
  return fields_.back();
}

std::string to_text(const Field& field) {
  return std::visit(
      Overloaded{
          [&](const EnumRef& e) { return field.choices.at(static_cast<size_t>(e.get(e.object))); },
          [](const std::optional<int64_t>* v) { return *v ? fmt::format("{}", **v) : ""; },
          [](const std::optional<double>* v) { return *v ? fmt::format("{}", **v) : ""; },
          [](const std::vector<int64_t>* v) { return fmt::format("{}", fmt::join(*v, ",")); },
          [](const std::vector<double>* v) { return fmt::format("{}", fmt::join(*v, ",")); },
          [](const std::vector<std::string>* v) { return fmt::format("{}", fmt::join(*v, ",")); },
          [](const auto* v) { return fmt::format("{}", *v); }},
      field.value);
}

void set_from_text(const Field& field, const std::vector<std::string>& texts) {
  if (texts.empty()) throw UsageError(fmt::format("--{} needs a value", field.name));
  const std::string& last = texts.back();
  std::visit(
      Overloaded{[&](bool* v) { *v = parse_bool(field, last); }, [&](std::string* v) { *v = last; },
                 [&](std::optional<int64_t>* v) { *v = parse_number<int64_t>(field, last); },
                 [&](std::optional<double>* v) { *v = parse_number<double>(field, last); },
                 [&](std::vector<int64_t>* v) { *v = parse_list<int64_t>(field, texts); },
                 [&](std::vector<double>* v) { *v = parse_list<double>(field, texts); },
                 [&](std::vector<std::string>* v) {
                   *v = field.choices.empty() ? texts : split_commas(texts);
                 },
                 [&](const EnumRef& e) { e.set(e.object, choice_index(field, last)); },
                 [&]<class T>(T* v) { *v = parse_number<T>(field, last); }},
      field.value);
  check_limits(field);
}

void check_limits(const Field& field) {
  std::visit(Overloaded{[](bool*) {}, [](const EnumRef&) {},
                        [&](std::string* v) {
                          if (!field.choices.empty()) choice_index(field, *v);
                        },
                        [&](std::vector<std::string>* v) {
                          if (field.choices.empty()) return;
                          for (const std::string& text : *v) choice_index(field, text);
                        },
                        [&]<class T>(std::optional<T>* v) {
                          if (*v) check_range(field, static_cast<double>(**v));
                        },
                        [&]<class T>(std::vector<T>* v) {
                          for (const T& x : *v) check_range(field, static_cast<double>(x));
                        },
                        [&]<class T>(T* v) { check_range(field, static_cast<double>(*v)); }},
             field.value);
}

bool fields_equal(const std::vector<Field>& a, const std::vector<Field>& b) {
  const auto same = [](const Field& x, const Field& y) {
    if (x.name != y.name || x.value.index() != y.value.index()) return false;
    return std::visit(Overloaded{[&](const EnumRef& e) {
                                   const auto& other = std::get<EnumRef>(y.value);
                                   return e.get(e.object) == other.get(other.object);
                                 },
                                 [&]<class T>(T* v) { return *v == *std::get<T*>(y.value); }},
                      x.value);
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

std::string fields_table(const std::vector<Field>& fields) {
  size_t width = 0;
  for (const Field& field : fields) width = std::max(width, field.name.size());
  std::string table;
  for (const Field& field : fields) {
    const std::string text = to_text(field);
    table += fmt::format("  {:<{}}  {}\n", field.name, width, text.empty() ? "-" : text);
  }
  return table;
}

const Field* find_field(const std::vector<Field>& fields, std::string_view name) {
  for (const Field& field : fields)
    if (field.has_name(name)) return &field;
  return nullptr;
}

}  // namespace moge
