#include "moge/text/jinja_builtin.h"

#include <algorithm>

#include "moge/core/error.h"
#include "moge/text/jinja_render.h"

namespace moge::text::jinja {

namespace {

std::vector<std::string_view> split_names(std::string_view parameters) {
  std::vector<std::string_view> names;
  while (!parameters.empty()) {
    const size_t end = std::min(parameters.find(' '), parameters.size());
    names.push_back(parameters.substr(0, end));
    parameters.remove_prefix(std::min(end + 1, parameters.size()));
  }
  return names;
}

template <class Entry>
const Entry* find_in(std::span<const Entry> table, std::string_view name) {
  for (const Entry& entry : table) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

constexpr std::string_view kListMutators[] = {"append", "clear",  "extend",  "insert",
                                              "pop",    "remove", "reverse", "sort"};
constexpr std::string_view kDictMutators[] = {"clear", "pop", "popitem", "setdefault", "update"};

bool is_in(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::string check_call(std::string_view name, std::string_view parameters, int required,
                       size_t positional, const std::vector<std::string_view>& named) {
  if (parameters == kVariadic) return {};
  const auto names = split_names(parameters);
  if (positional > names.size()) {
    return fmt::format("'{}' takes at most {} arguments, got {}", name, names.size(), positional);
  }
  for (std::string_view key : named) {
    const auto found = std::find(names.begin(), names.end(), key);
    if (found == names.end()) return fmt::format("'{}' takes no argument '{}'", name, key);
    if (found < names.begin() + static_cast<int64_t>(positional)) {
      return fmt::format("'{}' got two values for '{}'", name, key);
    }
  }
  for (size_t i = positional; i < static_cast<size_t>(required); ++i) {
    const bool given = std::find(named.begin(), named.end(), names[i]) != named.end();
    if (!given) return fmt::format("'{}' misses its argument '{}'", name, names[i]);
  }
  return {};
}

Bound::Bound(Render& render, std::string_view function, std::string_view parameters, int required,
             Arguments arguments)
    : render_(render), function_(function), names_(split_names(parameters)) {
  std::vector<std::string_view> named;
  for (const auto& [key, value] : arguments.named) named.push_back(key);
  const std::string wrong =
      check_call(function, parameters, required, arguments.positional.size(), named);
  if (!wrong.empty()) render.fail(wrong);
  at_.resize(names_.size());
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    at_[i] = std::move(arguments.positional[i]);
  }
  for (auto& [key, value] : arguments.named) {
    at_[static_cast<size_t>(std::find(names_.begin(), names_.end(), key) - names_.begin())] =
        std::move(value);
  }
}

void Bound::wrong_type(size_t i, std::string_view want) const {
  render_.fail(fmt::format("'{}' wants {} as its argument '{}', got {}", function_, want, names_[i],
                           type_name(*at_[i])));
}

const std::string& Bound::text(size_t i) const {
  if (!at_[i]->is_string()) wrong_type(i, "a string");
  return at_[i]->str();
}

std::string Bound::text(size_t i, std::string_view fallback) const {
  return has(i) && !at_[i]->is_none() ? text(i) : std::string(fallback);
}

int64_t Bound::integer(size_t i, int64_t fallback) const {
  if (!has(i)) return fallback;
  if (!at_[i]->is_integer()) wrong_type(i, "an integer");
  return static_cast<int64_t>(std::clamp<Int>(at_[i]->integer(), INT64_MIN / 4, INT64_MAX / 4));
}

bool Bound::flag(size_t i, bool fallback) const { return has(i) ? truthy(*at_[i]) : fallback; }

const Filter* find_filter(std::string_view name) {
  for (auto table : {text_filters(), number_filters(), sequence_filters()}) {
    if (const Filter* found = find_in(table, name)) return found;
  }
  return nullptr;
}

const Test* find_test(std::string_view name) { return find_in(all_tests(), name); }

const Function* find_function(std::string_view name) { return find_in(all_functions(), name); }

const Method* find_method(const Value& object, std::string_view name) {
  if (object.is_string()) return find_in(string_methods(), name);
  if (object.is(Kind::kDict)) return find_in(dict_methods(), name);
  if (object.is(Kind::kSeq) && object.seq().is_sequence()) return find_in(list_methods(), name);
  if (object.is(Kind::kLoop)) return find_in(loop_methods(), name);
  return nullptr;
}

bool is_method_name(std::string_view name) {
  for (auto table : {string_methods(), list_methods(), dict_methods(), loop_methods()}) {
    if (find_in(table, name)) return true;
  }
  return is_in(kListMutators, name) || is_in(kDictMutators, name);
}

bool is_mutator(const Value& object, std::string_view name) {
  if (object.is(Kind::kDict)) return is_in(kDictMutators, name);
  return object.is(Kind::kSeq) && object.seq().kind == SeqKind::kList && is_in(kListMutators, name);
}

Value apply_filter(Render& render, const Filter& filter, const Value& subject,
                   Arguments arguments) {
  if (filter.apply_variadic) return filter.apply_variadic(render, subject, arguments);
  return filter.apply(
      render, subject,
      Bound(render, filter.name, filter.parameters, filter.required, std::move(arguments)));
}

bool apply_test(Render& render, const Test& test, const Value& subject, Arguments arguments) {
  return test.holds(render, subject,
                    Bound(render, test.name, test.parameters, test.required, std::move(arguments)));
}

}  // namespace moge::text::jinja
