// Attributes, items and slices.
#include <algorithm>

#include "moge/text/jinja_render.h"
#include "moge/text/jinja_text.h"
#include "moge/text/utf8.h"

namespace moge::text::jinja {

namespace {

/// How Jinja names an object in the message of an undefined value.
std::string object_name(const Value& object) {
  if (object.is_none()) return "None";
  if (object.is(Kind::kNamespace)) return "jinja2.utils.Namespace object";
  return std::string(type_name(object)) + " object";
}

Value no_attribute(const Value& object, std::string_view name) {
  return Value::undefined("'" + object_name(object) + "' has no attribute '" + std::string(name) +
                          "'");
}

Value no_element(Render& render, const Value& object, const Value& key) {
  if (key.is_string()) return no_attribute(object, key.str());
  return Value::undefined(object_name(object) + " has no element " + repr(render, key));
}

Value neighbour(const Loop& loop, int64_t at, std::string_view why) {
  const bool there = at >= 0 && at < static_cast<int64_t>(loop.items->size());
  return there ? (*loop.items)[static_cast<size_t>(at)] : Value::undefined(std::string(why));
}

Value loop_attribute(Render& render, const Value& object, std::string_view name) {
  const Loop& loop = object.loop();
  const auto index = static_cast<int64_t>(loop.index);
  const auto size = static_cast<int64_t>(loop.items->size());
  if (name == "index") return index + 1;
  if (name == "index0") return index;
  if (name == "revindex") return size - index;
  if (name == "revindex0") return size - index - 1;
  if (name == "first") return index == 0;
  if (name == "last") return index == size - 1;
  if (name == "length") return size;
  if (name == "depth") return 1;  // counts recursive calls of one loop, which are refused at load
  if (name == "depth0") return 0;
  if (name == "previtem") return neighbour(loop, index - 1, "there is no previous item");
  if (name == "nextitem") return neighbour(loop, index + 1, "there is no next item");
  if (const Method* method = find_method(object, name)) return render.make_method(object, *method);
  return no_attribute(object, name);
}

/// A method or data attribute of the Python type, or nothing.
std::optional<Value> own_attribute(Render& render, const Value& object, std::string_view name) {
  if (object.is(Kind::kLoop)) return loop_attribute(render, object, name);
  if (object.is(Kind::kNamespace)) {
    const Value* found = object.ns().find(name);
    return found ? *found : no_attribute(object, name);
  }
  if (const Method* method = find_method(object, name)) return render.make_method(object, *method);
  if (is_mutator(object, name)) {
    return Value::undefined("access to attribute '" + std::string(name) + "' of '" +
                            std::string(type_name(object)) + "' object is unsafe.");
  }
  return std::nullopt;
}

/// The character of valid UTF-8 at code point `index`.
std::string character_at(std::string_view text, int64_t index) {
  size_t at = 0;
  for (; index > 0; --index) at += utf8_length(text[at]);
  return std::string(text.substr(at, utf8_length(text[at])));
}

Value indexed(Render& render, const Value& object, const Value& key) {
  const auto size = length_of(object);
  if (!size || !key.is_integer()) return no_element(render, object, key);
  const Int index = key.integer() < 0 ? key.integer() + *size : key.integer();
  if (index < 0 || index >= *size) return no_element(render, object, key);
  if (!object.is_string()) return object.seq().items[static_cast<size_t>(index)];
  render.step(static_cast<int64_t>(index) / 64);
  return make_string(render, character_at(object.str(), static_cast<int64_t>(index)));
}

struct Range {
  int64_t start, stop, stride;
};

/// Python's slice.indices.
Range slice_range(Render& render, int64_t size, const Value& start, const Value& stop,
                  const Value& stride) {
  const auto number = [&](const Value& v, int64_t fallback) -> int64_t {
    if (v.is_none()) return fallback;
    if (v.is_undefined()) render.fail(v.why());
    if (!v.is_integer()) render.fail("slice indices must be integers or None");
    return static_cast<int64_t>(std::clamp<Int>(v.integer(), -(Int{1} << 62), Int{1} << 62));
  };
  const int64_t step = number(stride, 1);
  if (step == 0) render.fail("slice step cannot be zero");
  const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
  const auto clip = [&](const Value& v, int64_t fallback) {
    if (v.is_none()) return fallback;
    int64_t at = number(v, 0);
    if (at < 0) at += size;
    return std::clamp(at, low, high);
  };
  return {clip(start, step > 0 ? low : high), clip(stop, step > 0 ? high : low), step};
}

template <class Visit>
void walk(const Range& range, Visit visit) {
  const auto more = [&](int64_t i) { return range.stride > 0 ? i < range.stop : i > range.stop; };
  for (int64_t i = range.start; more(i); i += range.stride) {
    visit(static_cast<size_t>(i));
  }
}

}  // namespace

Value get_attribute(Render& render, const Value& object, const std::string& name) {
  if (object.is_undefined()) render.fail(object.why());
  if (auto own = own_attribute(render, object, name)) return *std::move(own);
  if (object.is(Kind::kDict)) {
    if (const Value* found = object.dict().find(name)) return *found;
  }
  return no_attribute(object, name);
}

Value get_item(Render& render, const Value& object, const Value& key) {
  if (object.is_undefined()) render.fail(object.why());
  if (object.is(Kind::kDict)) {
    const bool hashable =
        !key.is(Kind::kDict) && !(key.is(Kind::kSeq) && key.seq().kind == SeqKind::kList);
    if (hashable) {
      if (const Value* found = object.dict().find(render, key)) return *found;
    }
  } else if ((object.is_string() || (object.is(Kind::kSeq) && object.seq().is_sequence())) &&
             !key.is_string()) {
    return indexed(render, object, key);
  }
  if (key.is_string()) {
    if (auto own = own_attribute(render, object, key.str())) return *std::move(own);
  }
  return no_element(render, object, key);
}

Value get_slice(Render& render, const Value& object, const Value& start, const Value& stop,
                const Value& stride) {
  if (object.is_undefined()) render.fail(object.why());
  if (object.is_string()) {
    const std::u32string in = to_code_points(object.str());
    render.step(static_cast<int64_t>(in.size() / 16));
    std::u32string out;
    walk(slice_range(render, static_cast<int64_t>(in.size()), start, stop, stride),
         [&](size_t i) { out += in[i]; });
    return make_string(render, to_utf8(out));
  }
  if (!object.is(Kind::kSeq) || !object.seq().is_sequence()) {
    render.fail("'" + std::string(type_name(object)) + "' object cannot be sliced");
  }
  const Values& items = object.seq().items;
  Values out;
  walk(slice_range(render, static_cast<int64_t>(items.size()), start, stop, stride),
       [&](size_t i) { out.push_back(items[i]); });
  const bool tuple = object.seq().kind == SeqKind::kTuple;
  return make_seq(render, tuple ? SeqKind::kTuple : SeqKind::kList, std::move(out));
}

}  // namespace moge::text::jinja
