// Fields of a config struct, listed once and used for everything: command-line option, --help with
// default, JSON in and out (fields_json.h), equality, start-up table.
//
//   struct ServeConfig {
//     int port = 8080;
//     std::string host = "127.0.0.1";
//     void visit(FieldList& v) {
//       v("port", port, "TCP port to listen on").between(1, 65535);
//       v("host", host, "address to listen on");
//     }
//   };
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace moge {

/// An enum class whose values count from 0, by the names of its values.
struct EnumRef {
  void* object;
  int (*get)(const void* object);
  void (*set)(void* object, int value);
};

using FieldValue =
    std::variant<bool*, int*, int64_t*, uint64_t*, float*, double*, std::string*,
                 std::optional<int64_t>*, std::optional<double>*, std::vector<int64_t>*,
                 std::vector<double>*, std::vector<std::string>*, EnumRef>;

/// One field: where it is, what it is called, what it may hold. The setters chain.
struct Field {
  std::string name;  ///< with dashes: "micro-batch-size"
  FieldValue value;
  std::string help;
  std::string metavar;               ///< how --help calls the value; default by type
  char short_name = 0;               ///< 'n' for -n
  std::vector<std::string> aliases;  ///< other names of the same option
  std::vector<std::string> choices;  ///< the only values allowed, if any
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool is_positional = false;
  bool is_required = false;

  Field& between(double low, double high) { return min = low, max = high, *this; }
  Field& at_least(double low) { return min = low, *this; }
  Field& one_of(std::initializer_list<const char*> names);
  Field& letter(char c) { return short_name = c, *this; }
  Field& also(const char* alias) { return aliases.emplace_back(alias), *this; }
  Field& called(const char* text) { return metavar = text, *this; }
  Field& positional() { return is_positional = true, *this; }
  Field& required() { return is_required = true, *this; }

  bool is_flag() const { return std::holds_alternative<bool*>(value); }
  bool is_list() const;
  bool has_name(std::string_view text) const;  ///< name or alias, `-` and `_` alike
};

/// Collects the fields that a config's visit() lists.
class FieldList {
 public:
  template <class T>
  Field& operator()(const char* name, T& value, const char* help) {
    return add(name, &value, help);
  }
  /// An enum class with the names of its values, from 0 on.
  template <class E>
  requires std::is_enum_v<E> Field& operator()(const char* name, E& value,
                                               std::initializer_list<const char*> names,
                                               const char* help) {
    const EnumRef ref{
        &value, [](const void* object) { return static_cast<int>(*static_cast<const E*>(object)); },
        [](void* object, int v) { *static_cast<E*>(object) = static_cast<E>(v); }};
    return add(name, ref, help).one_of(names);
  }
  std::vector<Field> take() { return std::move(fields_); }

 private:
  Field& add(const char* name, FieldValue value, const char* help);
  std::vector<Field> fields_;
};

/// The fields of `config`; they point into it.
template <class Config>
std::vector<Field> fields_of(Config& config) {
  FieldList list;
  config.visit(list);
  return list.take();
}

/// The value as a person writes it: "true", "0.001", "1,8,32", "" for an absent optional.
std::string to_text(const Field& field);

/// Sets the field from what was typed; several texts only for lists (numbers also split at commas).
/// Throws UsageError "--port: '70000' is not between 1 and 65535" and the like.
void set_from_text(const Field& field, const std::vector<std::string>& texts);

/// Throws UsageError if the value breaks the field's own limits (range, choices).
void check_limits(const Field& field);

/// Both hold the same values.
bool fields_equal(const std::vector<Field>& a, const std::vector<Field>& b);
template <class Config>
bool configs_equal(Config a, Config b) {
  return fields_equal(fields_of(a), fields_of(b));
}

/// One "name  value" line per field, for the start-up table.
std::string fields_table(const std::vector<Field>& fields);

/// The field called `name`, or null; `-` and `_` are alike.
const Field* find_field(const std::vector<Field>& fields, std::string_view name);

}  // namespace moge
