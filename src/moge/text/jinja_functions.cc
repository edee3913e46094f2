// Global functions, as transformers gives them to templates.
#include <array>

#include "moge/core/error.h"
#include "moge/text/jinja_render.h"

namespace moge::text::jinja {

namespace {

constexpr int64_t kMaxRange = 100'000;  // the sandbox's own limit

Value range_function(Render& render, const Bound& a) {
  const int64_t start = a.has(1) ? a.integer(0, 0) : 0;
  const int64_t stop = a.has(1) ? a.integer(1, 0) : a.integer(0, 0);
  const int64_t stride = a.integer(2, 1);
  if (stride == 0) render.fail("range() arg 3 must not be zero");
  const Int span = stride > 0 ? Int{stop} - start : Int{start} - stop;
  const Int unit = stride > 0 ? Int{stride} : -Int{stride};
  const Int count = span <= 0 ? 0 : (span + unit - 1) / unit;
  if (count > kMaxRange) render.fail("a range of more than {} items", kMaxRange);
  Values items;
  for (Int i = 0; i < count; ++i) items.push_back(Int{start} + i * stride);
  render.step(static_cast<int64_t>(count));
  render.charge(static_cast<int64_t>(items.size() * sizeof(Value)));
  auto seq = std::make_shared<Seq>();
  seq->kind = SeqKind::kRange;
  seq->items = std::move(items);
  seq->range = stride == 1 ? fmt::format("range({}, {})", start, stop)
                           : fmt::format("range({}, {}, {})", start, stop, stride);
  return std::shared_ptr<const Seq>(std::move(seq));
}

/// What dict(x, a=1) and namespace(x, a=1) share: a mapping or pairs, then keywords.
Dict collect(Render& render, std::string_view name, Arguments& arguments) {
  if (arguments.positional.size() > 1) {
    render.fail(std::string(name) + " expected at most 1 argument");
  }
  Dict dict;
  if (!arguments.positional.empty()) {
    const Value& from = arguments.positional[0];
    if (from.is(Kind::kDict)) {
      for (const auto& [key, value] : from.dict().items) dict.set(render, key, value);
    } else {
      for (const Value& pair : iterate(render, from)) {
        const Values two = iterate(render, pair);
        if (two.size() != 2) render.fail("dictionary update sequence has a length other than 2");
        check_hashable(render, two[0]);
        dict.set(render, two[0], two[1]);
      }
    }
  }
  for (auto& [key, value] : arguments.named) {
    dict.set(render, make_string(render, key), std::move(value));
  }
  return dict;
}

Value dict_function(Render& render, Arguments& arguments) {
  return make_dict(render, collect(render, "dict", arguments));
}

Value namespace_function(Render& render, Arguments& arguments) {
  NamedValues attributes;
  for (const auto& [key, value] : collect(render, "namespace", arguments).items) {
    if (!key.is_string()) render.fail("attribute names must be strings");
    attributes.emplace_back(key.str(), value);
  }
  return render.make_namespace(std::move(attributes));
}

/// The template's own words, as transformers reports them.
Value raise_function(Render& render, const Bound& a) { throw Error(to_str(render, a[0])); }

Value strftime_function(Render& render, const Bound& a) {
  const std::string& pattern = a.text(0);
  if (pattern.size() > 1000) render.fail("strftime_now: the format is longer than 1000 bytes");
  if (pattern.empty()) return Value::text("");
  char buffer[8192];
  const std::tm now = render.now();
  // A trailing mark tells an empty result from one that does not fit.
  const size_t size = std::strftime(buffer, sizeof buffer, (pattern + "|").c_str(), &now);
  if (size == 0) render.fail("strftime_now: the date does not fit 8192 bytes");
  return make_string(render, std::string(buffer, size - 1));
}

constexpr std::array kFunctions = std::to_array<Function>({
    {"range", "start stop step", 1, range_function},
    {"dict", kVariadic, 0, nullptr, dict_function},
    {"namespace", kVariadic, 0, nullptr, namespace_function},
    {"raise_exception", "message", 1, raise_function},
    {"strftime_now", "format", 1, strftime_function},
});

}  // namespace

std::span<const Function> all_functions() { return kFunctions; }

}  // namespace moge::text::jinja
