// Filters on sequences and mappings.
#include <algorithm>
#include <array>

#include "moge/core/error.h"
#include "moge/text/jinja_number.h"
#include "moge/text/jinja_render.h"
#include "moge/text/jinja_text.h"

namespace moge::text::jinja {

namespace {

Value make_generator(Render& render, Values items) {
  return make_seq(render, SeqKind::kGenerator, std::move(items));
}

/// "a.b.0" of an object, item by item; `fallback` stands for each that is undefined.
Value dotted_item(Render& render, Value object, const Value& path, const Value& fallback = {}) {
  const auto item = [&](const Value& key) {
    Value found = get_item(render, object, key);
    return found.is_undefined() && !fallback.is_undefined() ? fallback : found;
  };
  if (!path.is_string()) return item(path);
  std::string_view rest = path.str();
  while (true) {
    const size_t dot = std::min(rest.find('.'), rest.size());
    const std::string_view part = rest.substr(0, dot);
    const bool number = !part.empty() && part.size() < 18 &&
                        part.find_first_not_of("0123456789") == std::string_view::npos;
    const Value key = number ? Value(*parse_integer(part, 10)) : Value::text(std::string(part));
    object = item(key);
    if (dot == rest.size()) return object;
    rest.remove_prefix(dot + 1);
  }
}

Value attribute_of(Render& render, const Value& item, const Value& path,
                   const Value& fallback = {}) {
  return path.is_undefined() || path.is_none() ? item : dotted_item(render, item, path, fallback);
}

Value fold_case(Render& render, const Value& v, bool case_sensitive) {
  return case_sensitive || !v.is_string() ? v : make_string(render, to_lower(v.str()));
}

Value default_filter(Render&, const Value& v, const Bound& a) {
  const bool missing = v.is_undefined() || (a.flag(1, false) && !truthy(v));
  return missing ? a.get(0, Value::text("")) : v;
}

Value length_filter(Render& render, const Value& v, const Bound&) {
  const auto length = length_of(v);
  if (!length) render.fail("object of type '" + std::string(type_name(v)) + "' has no len()");
  return *length;
}

Value list_filter(Render& render, const Value& v, const Bound&) {
  return make_list(render, iterate(render, v));
}

Value first_filter(Render& render, const Value& v, const Bound&) {
  if (v.is(Kind::kSeq) && v.seq().kind == SeqKind::kGenerator) {
    const Seq& seq = v.seq();
    if (seq.consumed < seq.items.size()) return seq.items[seq.consumed++];
  } else if (Values items = iterate(render, v); !items.empty()) {
    return items[0];
  }
  return Value::undefined("No first item, sequence was empty.");
}

Value last_filter(Render& render, const Value& v, const Bound&) {
  if (v.is(Kind::kSeq) && v.seq().kind == SeqKind::kGenerator) {
    render.fail("'generator' object is not reversible");
  }
  const Values items = iterate(render, v);
  return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.back();
}

Value reverse_filter(Render& render, const Value& v, const Bound&) {
  if (v.is_string()) {
    std::u32string text = to_code_points(v.str());
    std::reverse(text.begin(), text.end());
    return make_string(render, to_utf8(text));
  }
  Values items = iterate(render, v);
  std::reverse(items.begin(), items.end());
  // Python cannot walk a generator backward, so Jinja makes a list of it.
  const bool listed = v.is(Kind::kSeq) && v.seq().kind == SeqKind::kGenerator;
  return make_seq(render, listed ? SeqKind::kList : SeqKind::kGenerator, std::move(items));
}

Value join_filter(Render& render, const Value& v, const Bound& a) {
  const std::string glue = a.has(0) ? to_str(render, a[0]) : "";
  const Value path = a.get(1, None{});
  std::string out;
  bool first = true;
  for (const Value& item : iterate(render, v)) {
    if (!first) out += glue;
    first = false;
    out += to_str(render, attribute_of(render, item, path));
    render.check_string(static_cast<int64_t>(out.size()));
  }
  return make_string(render, std::move(out));
}

Value pair_of(Render& render, const Value& key, const Value& value) {
  return make_seq(render, SeqKind::kTuple, {key, value});
}

Value items_filter(Render& render, const Value& v, const Bound&) {
  Values pairs;
  if (v.is(Kind::kDict)) {
    for (const auto& [key, value] : v.dict().items) pairs.push_back(pair_of(render, key, value));
  } else if (!v.is_undefined()) {
    render.fail("Can only get item pairs from a mapping.");
  }
  return make_generator(render, std::move(pairs));
}

/// Sorts by keys computed once; a failing comparison ends the rendering.
Values sorted_by(Render& render, Values items, const Values& keys, bool reverse) {
  std::vector<size_t> order(items.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return reverse ? less(render, keys[b], keys[a]) : less(render, keys[a], keys[b]);
  });
  Values out;
  for (size_t i : order) out.push_back(std::move(items[i]));
  return out;
}

Value dictsort_filter(Render& render, const Value& v, const Bound& a) {
  if (!v.is(Kind::kDict)) render.fail("dictsort wants a mapping");
  const bool case_sensitive = a.flag(0, false);
  const std::string by = a.text(1, "key");
  if (by != "key" && by != "value") render.fail("dictsort: by must be key or value");
  Values pairs, keys;
  for (const auto& [key, value] : v.dict().items) {
    pairs.push_back(pair_of(render, key, value));
    keys.push_back(fold_case(render, by == "key" ? key : value, case_sensitive));
  }
  return make_list(render, sorted_by(render, std::move(pairs), keys, a.flag(2, false)));
}

/// One key of a sort is a list with one part per attribute; lists pass over equal parts, so that
/// values without order, such as two undefined ones, only fail where they differ.
Value sort_key(Render& render, const Value& item, const Value& path, bool case_sensitive) {
  Values parts;
  const auto add = [&](const Value& one) {
    parts.push_back(fold_case(render, attribute_of(render, item, one), case_sensitive));
  };
  if (!path.is_string()) {
    add(path);
    return make_list(render, std::move(parts));
  }
  std::string_view rest = path.str();
  while (true) {
    const size_t comma = std::min(rest.find(','), rest.size());
    add(Value::text(std::string(rest.substr(0, comma))));
    if (comma == rest.size()) return make_list(render, std::move(parts));
    rest.remove_prefix(comma + 1);
  }
}

Value sort_filter(Render& render, const Value& v, const Bound& a) {
  Values items = iterate(render, v);
  Values keys;
  for (const Value& item : items) {
    keys.push_back(sort_key(render, item, a.get(2, None{}), a.flag(1, false)));
  }
  return make_list(render, sorted_by(render, std::move(items), keys, a.flag(0, false)));
}

Value unique_filter(Render& render, const Value& v, const Bound& a) {
  Dict seen;
  Values out;
  for (const Value& item : iterate(render, v)) {
    const Value key =
        fold_case(render, attribute_of(render, item, a.get(1, None{})), a.flag(0, false));
    if (seen.find(render, key)) continue;
    seen.set(render, key, true);
    out.push_back(item);
  }
  return make_generator(render, std::move(out));
}

Value extreme(Render& render, const Value& v, const Bound& a, bool largest) {
  const Values items = iterate(render, v);
  if (items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  const auto key = [&](const Value& item) {
    return fold_case(render, attribute_of(render, item, a.get(1, None{})), a.flag(0, false));
  };
  size_t best = 0;
  Value best_key = key(items[0]);
  for (size_t i = 1; i < items.size(); ++i) {
    Value k = key(items[i]);
    if (!(largest ? less(render, best_key, k, ">") : less(render, k, best_key))) continue;
    best = i;
    best_key = std::move(k);
  }
  return items[best];
}
Value min_filter(Render& render, const Value& v, const Bound& a) {
  return extreme(render, v, a, /*largest=*/false);
}
Value max_filter(Render& render, const Value& v, const Bound& a) {
  return extreme(render, v, a, /*largest=*/true);
}

Value sum_filter(Render& render, const Value& v, const Bound& a) {
  Value total = a.get(1, 0);
  if (total.is_string()) render.fail("sum() can't sum strings [use ''.join(seq) instead]");
  for (const Value& item : iterate(render, v)) {
    total = arithmetic(render, "+", total, attribute_of(render, item, a.get(0, None{})));
  }
  return total;
}

Value batch_filter(Render& render, const Value& v, const Bound& a) {
  const int64_t size = a.integer(0, 1);
  Values rows, row;
  for (const Value& item : iterate(render, v)) {
    if (static_cast<int64_t>(row.size()) == size) {
      rows.push_back(make_list(render, std::exchange(row, {})));
    }
    row.push_back(item);
  }
  if (!row.empty()) {
    if (a.has(1) && !a[1].is_none()) {
      render.step(std::max<int64_t>(size, 0));
      while (static_cast<int64_t>(row.size()) < size) row.push_back(a[1]);
    }
    rows.push_back(make_list(render, std::move(row)));
  }
  return make_generator(render, std::move(rows));
}

Value attr_filter(Render& render, const Value& v, const Bound& a) {
  if (v.is(Kind::kDict) && !find_method(v, a.text(0))) {
    return Value::undefined("'dict object' has no attribute '" + a.text(0) + "'");
  }
  return get_attribute(render, v, a.text(0));
}

Value map_attribute(Render& render, const Values& items, const NamedValues& named) {
  Value path = None{}, fallback;
  for (const auto& [name, value] : named) {
    if (name == "attribute") {
      path = value;
    } else if (name == "default") {
      fallback = value;
    } else {
      render.fail("Unexpected keyword argument '" + name + "'");
    }
  }
  Values out;
  for (const Value& item : items) {
    out.push_back(attribute_of(render, item, path, fallback));
  }
  return make_generator(render, std::move(out));
}

Value map_filter(Render& render, const Value& v, Arguments& arguments) {
  if (!truthy(v)) return make_generator(render, {});  // Jinja takes none for an empty list here
  const Values items = iterate(render, v);
  const bool by_attribute =
      arguments.positional.empty() && !arguments.named.empty() &&
      std::any_of(arguments.named.begin(), arguments.named.end(),
                  [](const auto& entry) { return entry.first == "attribute"; });
  if (by_attribute) return map_attribute(render, items, arguments.named);
  if (arguments.positional.empty()) render.fail("map requires a filter argument");
  const Value name = arguments.positional[0];
  const Filter* filter = name.is_string() ? find_filter(name.str()) : nullptr;
  if (!filter) render.fail("No filter named " + repr(render, name) + ".");
  arguments.positional.erase(arguments.positional.begin());
  Values out;
  for (const Value& item : items) out.push_back(apply_filter(render, *filter, item, arguments));
  return make_generator(render, std::move(out));
}

/// select, reject and their ...attr forms: keep where the test's answer is `wanted`.
Value choose(Render& render, const Value& v, Arguments& arguments, bool by_attribute, bool wanted) {
  if (!truthy(v)) return make_generator(render, {});
  auto& rest = arguments.positional;
  Value path = None{};
  if (by_attribute) {
    if (rest.empty()) render.fail("Missing parameter for attribute name");
    path = rest[0];
    rest.erase(rest.begin());
  }
  const Test* test = nullptr;
  if (!rest.empty()) {
    test = rest[0].is_string() ? find_test(rest[0].str()) : nullptr;
    if (!test) render.fail("No test named " + repr(render, rest[0]) + ".");
    rest.erase(rest.begin());
  }
  Values out;
  for (Value& item : iterate(render, v)) {
    const Value subject = attribute_of(render, item, path);
    const bool holds = test ? apply_test(render, *test, subject, arguments) : truthy(subject);
    if (holds == wanted) out.push_back(std::move(item));
  }
  return make_generator(render, std::move(out));
}
Value select_filter(Render& render, const Value& v, Arguments& a) {
  return choose(render, v, a, /*by_attribute=*/false, /*wanted=*/true);
}
Value reject_filter(Render& render, const Value& v, Arguments& a) {
  return choose(render, v, a, /*by_attribute=*/false, /*wanted=*/false);
}
Value selectattr_filter(Render& render, const Value& v, Arguments& a) {
  return choose(render, v, a, /*by_attribute=*/true, /*wanted=*/true);
}
Value rejectattr_filter(Render& render, const Value& v, Arguments& a) {
  return choose(render, v, a, /*by_attribute=*/true, /*wanted=*/false);
}

constexpr std::array kFilters = std::to_array<Filter>({
    {"default", "default_value boolean", 0, default_filter},
    {"d", "default_value boolean", 0, default_filter},
    {"length", "", 0, length_filter},
    {"count", "", 0, length_filter},
    {"list", "", 0, list_filter},
    {"first", "", 0, first_filter},
    {"last", "", 0, last_filter},
    {"reverse", "", 0, reverse_filter},
    {"join", "d attribute", 0, join_filter},
    {"items", "", 0, items_filter},
    {"dictsort", "case_sensitive by reverse", 0, dictsort_filter},
    {"sort", "reverse case_sensitive attribute", 0, sort_filter},
    {"unique", "case_sensitive attribute", 0, unique_filter},
    {"min", "case_sensitive attribute", 0, min_filter},
    {"max", "case_sensitive attribute", 0, max_filter},
    {"sum", "attribute start", 0, sum_filter},
    {"batch", "linecount fill_with", 1, batch_filter},
    {"attr", "name", 1, attr_filter},
    {"map", kVariadic, 0, nullptr, map_filter},
    {"select", kVariadic, 0, nullptr, select_filter},
    {"reject", kVariadic, 0, nullptr, reject_filter},
    {"selectattr", kVariadic, 0, nullptr, selectattr_filter},
    {"rejectattr", kVariadic, 0, nullptr, rejectattr_filter},
});

}  // namespace

std::span<const Filter> sequence_filters() { return kFilters; }

}  // namespace moge::text::jinja
