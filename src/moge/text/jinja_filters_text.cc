// Filters on text. A value that is no string is printed first, as Jinja's soft_str does.
#include <algorithm>
#include <array>

#include "moge/core/error.h"
#include "moge/text/jinja_json.h"
#include "moge/text/jinja_render.h"
#include "moge/text/jinja_text.h"

namespace moge::text::jinja {

namespace {

Value upper_filter(Render& render, const Value& v, const Bound&) {
  return make_string(render, to_upper(to_str(render, v)));
}
Value lower_filter(Render& render, const Value& v, const Bound&) {
  return make_string(render, to_lower(to_str(render, v)));
}
Value capitalize_filter(Render& render, const Value& v, const Bound&) {
  return make_string(render, to_capitalized(to_str(render, v)));
}

bool starts_word(char32_t c) {
  return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || is_space(c);
}

/// Jinja's title: words start behind blanks, hyphens and opening brackets only.
Value title_filter(Render& render, const Value& v, const Bound&) {
  const std::u32string in = to_code_points(to_str(render, v));
  std::string out;
  for (size_t i = 0; i < in.size();) {
    size_t end = i + 1;
    while (end < in.size() && starts_word(in[end]) == starts_word(in[i])) ++end;
    const std::string first = to_utf8(std::u32string_view(in).substr(i, 1));
    const std::string rest = to_utf8(std::u32string_view(in).substr(i + 1, end - i - 1));
    out += to_upper(first) + to_lower(rest);
    i = end;
  }
  return make_string(render, std::move(out));
}

Value trim_filter(Render& render, const Value& v, const Bound& a) {
  const std::string text = to_str(render, v);
  const bool chosen = a.has(0) && !a[0].is_none();
  return make_string(render, std::string(chosen ? strip_chars(text, a.text(0), Side::kBoth)
                                                : strip_spaces(text, Side::kBoth)));
}

Value string_filter(Render& render, const Value& v, const Bound&) {
  return v.is_string() ? v : make_string(render, to_str(render, v));
}

Value safe_filter(Render& render, const Value& v, const Bound&) {
  return make_string(render, to_str(render, v));
}

Value escape_filter(Render& render, const Value& v, const Bound&) {
  return make_string(render, escape_html(to_str(render, v)));
}

Value replace_filter(Render& render, const Value& v, const Bound& a) {
  const Value text = make_string(render, to_str(render, v));
  Arguments arguments;
  arguments.positional = {make_string(render, to_str(render, a[0])),
                          make_string(render, to_str(render, a[1]))};
  if (a.has(2) && !a[2].is_none()) arguments.positional.push_back(a[2]);
  return apply_filter(render, *find_method(text, "replace"), text, std::move(arguments));
}

Value indent_filter(Render& render, const Value& v, const Bound& a) {
  if (!v.is_string()) render.fail("indent wants a string, got " + std::string(type_name(v)));
  std::string indention;
  if (a.has(0) && a[0].is_string()) {
    indention = a[0].str();
  } else {
    const int64_t width = std::max<int64_t>(a.integer(0, 4), 0);
    render.check_string(width);
    indention.assign(static_cast<size_t>(width), ' ');
  }
  const bool first = a.flag(1, false), blank = a.flag(2, false);
  const std::string text = v.str() + "\n";  // else a last empty line would be lost
  const auto lines = split_lines(text, /*keep_ends=*/false);
  render.check_string(static_cast<int64_t>(text.size() + lines.size() * indention.size()));
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i) out += '\n';
    const bool indents = i == 0 ? first : blank || !lines[i].empty();
    if (indents) out += indention;
    out += lines[i];
  }
  return make_string(render, std::move(out));
}

Value center_filter(Render& render, const Value& v, const Bound& a) {
  const Value text = make_string(render, to_str(render, v));
  Arguments arguments;
  arguments.positional = {a.integer(0, 80)};
  return apply_filter(render, *find_method(text, "center"), text, std::move(arguments));
}

/// Runs of letters, digits and underscores.
Value wordcount_filter(Render& render, const Value& v, const Bound&) {
  int64_t words = 0;
  bool inside = false;
  for (char32_t c : to_code_points(to_str(render, v))) {
    const bool word = c == '_' || is_alnum(c);
    words += word && !inside;
    inside = word;
  }
  return words;
}

Value format_filter(Render& render, const Value& v, Arguments& arguments) {
  if (!arguments.named.empty() && !arguments.positional.empty()) {
    render.fail("can't handle positional and keyword arguments at the same time");
  }
  Value values;
  if (arguments.named.empty()) {
    values = make_seq(render, SeqKind::kTuple, std::move(arguments.positional));
  } else {
    Dict dict;
    for (auto& [key, value] : arguments.named) dict.set(render, Value::text(key), std::move(value));
    values = make_dict(render, std::move(dict));
  }
  return make_string(render, format_percent(render, to_str(render, v), values));
}

JsonStyle json_style(Render& render, const Bound& a) {
  JsonStyle style{.ensure_ascii = a.flag(0, false), .sort_keys = a.flag(3, false)};
  if (a.has(1) && a[1].is_string()) style.indent = a[1].str();
  if (a.has(1) && a[1].is_integer()) {
    const int64_t width = std::clamp<int64_t>(a.integer(1, 0), 0, 1000);
    style.indent = std::string(static_cast<size_t>(width), ' ');
  }
  if (style.indent) style.item_separator = ",";
  if (a.has(2) && !a[2].is_none()) {
    const Values two = iterate(render, a[2]);
    if (two.size() != 2 || !two[0].is_string() || !two[1].is_string()) {
      render.fail("tojson: separators must be two strings");
    }
    style.item_separator = two[0].str();
    style.key_separator = two[1].str();
  }
  return style;
}

/// transformers' tojson: json.dumps without Jinja's escaping of HTML.
Value tojson_filter(Render& render, const Value& v, const Bound& a) {
  return make_string(render, to_json(render, v, json_style(render, a)));
}

constexpr std::array kFilters = std::to_array<Filter>({
    {"upper", "", 0, upper_filter},
    {"lower", "", 0, lower_filter},
    {"capitalize", "", 0, capitalize_filter},
    {"title", "", 0, title_filter},
    {"trim", "chars", 0, trim_filter},
    {"string", "", 0, string_filter},
    {"safe", "", 0, safe_filter},
    {"escape", "", 0, escape_filter},
    {"e", "", 0, escape_filter},
    {"replace", "old new count", 2, replace_filter},
    {"indent", "width first blank", 0, indent_filter},
    {"center", "width", 0, center_filter},
    {"wordcount", "", 0, wordcount_filter},
    {"format", kVariadic, 0, nullptr, format_filter},
    {"tojson", "ensure_ascii indent separators sort_keys", 0, tojson_filter},
});

}  // namespace

std::span<const Filter> text_filters() { return kFilters; }

}  // namespace moge::text::jinja
