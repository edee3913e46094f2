// Methods of list, tuple, range and dict that change nothing, and of the loop variable.
#include <array>

#include "moge/core/error.h"
#include "moge/text/jinja_render.h"

namespace moge::text::jinja {

namespace {

Value index_item(Render& render, const Value& v, const Bound& a) {
  const Values& items = v.seq().items;
  for (size_t i = 0; i < items.size(); ++i) {
    if (equals(render, items[i], a[0])) return i;
  }
  render.fail(repr(render, a[0]) + " is not in " + std::string(type_name(v)));
}

Value count_item(Render& render, const Value& v, const Bound& a) {
  int64_t count = 0;
  for (const Value& item : v.seq().items) count += equals(render, item, a[0]);
  return count;
}

Value copy_method(Render&, const Value& v, const Bound&) { return v; }

Value get_method(Render& render, const Value& v, const Bound& a) {
  check_hashable(render, a[0]);
  const Value* found = v.dict().find(render, a[0]);
  return found ? *found : a.get(1, None{});
}

Value keys_method(Render& render, const Value& v, const Bound&) {
  Values keys;
  for (const auto& [key, value] : v.dict().items) keys.push_back(key);
  return make_seq(render, SeqKind::kKeys, std::move(keys));
}

Value values_method(Render& render, const Value& v, const Bound&) {
  Values values;
  for (const auto& [key, value] : v.dict().items) values.push_back(value);
  return make_seq(render, SeqKind::kValues, std::move(values));
}

Value items_method(Render& render, const Value& v, const Bound&) {
  Values pairs;
  for (const auto& [key, value] : v.dict().items) {
    pairs.push_back(make_seq(render, SeqKind::kTuple, {key, value}));
  }
  return make_seq(render, SeqKind::kItems, std::move(pairs));
}

Value cycle_method(Render& render, const Value& v, Arguments& arguments) {
  if (arguments.positional.empty()) render.fail("no items for cycling given");
  return arguments.positional[v.loop().index % arguments.positional.size()];
}

constexpr std::array kListMethods = std::to_array<Method>({
    {"index", "value", 1, index_item},
    {"count", "value", 1, count_item},
    {"copy", "", 0, copy_method},
});

constexpr std::array kDictMethods = std::to_array<Method>({
    {"get", "key default", 1, get_method},
    {"keys", "", 0, keys_method},
    {"values", "", 0, values_method},
    {"items", "", 0, items_method},
    {"copy", "", 0, copy_method},
});

constexpr std::array kLoopMethods = std::to_array<Method>({
    {"cycle", kVariadic, 0, nullptr, cycle_method},
});

}  // namespace

std::span<const Method> list_methods() { return kListMethods; }
std::span<const Method> dict_methods() { return kDictMethods; }
std::span<const Method> loop_methods() { return kLoopMethods; }

}  // namespace moge::text::jinja
