// Filters, tests, methods and global functions: tables of a name, its parameters and a function.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "moge/text/jinja_value.h"

namespace moge::text::jinja {

/// The arguments of a call, matched to the parameters that its table names.
class Bound {
 public:
  Bound(Render& render, std::string_view function) : render_(render), function_(function) {}
  Bound(Render& render, std::string_view function, std::string_view parameters, int required,
        Arguments arguments);

  bool has(size_t i) const { return i < at_.size() && at_[i].has_value(); }
  const Value& operator[](size_t i) const { return *at_[i]; }
  Value get(size_t i, Value fallback) const { return has(i) ? *at_[i] : fallback; }

  // Typed access; each fails with the parameter's name where the type is another.
  const std::string& text(size_t i) const;
  std::string text(size_t i, std::string_view fallback) const;
  int64_t integer(size_t i, int64_t fallback) const;
  bool flag(size_t i, bool fallback) const;

 private:
  [[noreturn]] void wrong_type(size_t i, std::string_view want) const;

  Render& render_;
  std::string_view function_;
  std::vector<std::string_view> names_;
  std::vector<std::optional<Value>> at_;
};

inline constexpr std::string_view kVariadic = "*";  // takes its Arguments as they are

struct Filter {
  std::string_view name;
  std::string_view parameters;  // "old new count", or kVariadic
  int required;
  Value (*apply)(Render& render, const Value& subject, const Bound& arguments);
  Value (*apply_variadic)(Render& render, const Value& subject, Arguments& arguments) = nullptr;
};

struct Test {
  std::string_view name;
  std::string_view parameters;
  int required;
  bool (*holds)(Render& render, const Value& subject, const Bound& arguments);
};

/// A method of str, list, tuple or dict; the same shape as a filter.
using Method = Filter;

struct Function {
  std::string_view name;
  std::string_view parameters;
  int required;
  Value (*call)(Render& render, const Bound& arguments);
  Value (*call_variadic)(Render& render, Arguments& arguments) = nullptr;
};

std::span<const Filter> text_filters();
std::span<const Filter> number_filters();
std::span<const Filter> sequence_filters();
std::span<const Test> all_tests();
std::span<const Method> string_methods();
std::span<const Method> list_methods();
std::span<const Method> dict_methods();
std::span<const Method> loop_methods();
std::span<const Function> all_functions();

const Filter* find_filter(std::string_view name);
const Test* find_test(std::string_view name);
const Function* find_function(std::string_view name);
/// The method that `object.name` means, or null.
const Method* find_method(const Value& object, std::string_view name);
/// Whether any type has the method, or has it in Python but not in the immutable sandbox.
bool is_method_name(std::string_view name);
/// Methods that change a list or dict; the sandbox refuses them when they are called.
bool is_mutator(const Value& object, std::string_view name);

Value apply_filter(Render& render, const Filter& filter, const Value& subject, Arguments arguments);
bool apply_test(Render& render, const Test& test, const Value& subject, Arguments arguments);

/// Says what is wrong with the call of a filter or test as it is written, or nothing.
std::string check_call(std::string_view name, std::string_view parameters, int required,
                       size_t positional, const std::vector<std::string_view>& named);

}  // namespace moge::text::jinja
