// Methods of str. Positions count code points.
#include <algorithm>
#include <array>

#include "moge/core/error.h"
#include "moge/text/jinja_render.h"
#include "moge/text/jinja_text.h"
#include "moge/text/utf8.h"

namespace moge::text::jinja {

namespace {

Value upper_method(Render& render, const Value& v, const Bound&) {
  return make_string(render, to_upper(v.str()));
}
Value lower_method(Render& render, const Value& v, const Bound&) {
  return make_string(render, to_lower(v.str()));
}
Value title_method(Render& render, const Value& v, const Bound&) {
  return make_string(render, to_title(v.str()));
}
Value capitalize_method(Render& render, const Value& v, const Bound&) {
  return make_string(render, to_capitalized(v.str()));
}
Value swapcase_method(Render& render, const Value& v, const Bound&) {
  return make_string(render, swap_case(v.str()));
}

Value stripped(Render& render, const Value& v, const Bound& a, Side side) {
  const bool chosen = a.has(0) && !a[0].is_none();
  return make_string(render, std::string(chosen ? strip_chars(v.str(), a.text(0), side)
                                                : strip_spaces(v.str(), side)));
}
Value strip_method(Render& render, const Value& v, const Bound& a) {
  return stripped(render, v, a, Side::kBoth);
}
Value lstrip_method(Render& render, const Value& v, const Bound& a) {
  return stripped(render, v, a, Side::kLeft);
}
Value rstrip_method(Render& render, const Value& v, const Bound& a) {
  return stripped(render, v, a, Side::kRight);
}

Value as_list(Render& render, const std::vector<std::string_view>& parts) {
  Values out;
  for (std::string_view part : parts) out.push_back(make_string(render, std::string(part)));
  return make_list(render, std::move(out));
}

std::vector<std::string_view> split_at(std::string_view text, std::string_view mark, int64_t most) {
  std::vector<std::string_view> parts;
  while (most < 0 || static_cast<int64_t>(parts.size()) < most) {
    const size_t at = text.find(mark);
    if (at == std::string_view::npos) break;
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at + mark.size());
  }
  parts.push_back(text);
  return parts;
}

std::vector<std::string_view> rsplit_at(std::string_view text, std::string_view mark,
                                        int64_t most) {
  std::vector<std::string_view> parts;
  while (most < 0 || static_cast<int64_t>(parts.size()) < most) {
    const size_t at = text.rfind(mark);
    if (at == std::string_view::npos) break;
    parts.push_back(text.substr(at + mark.size()));
    text = text.substr(0, at);
  }
  parts.push_back(text);
  std::reverse(parts.begin(), parts.end());
  return parts;
}

Value split_with(Render& render, const Value& v, const Bound& a, bool from_right) {
  const int64_t most = a.integer(1, -1);
  if (!a.has(0) || a[0].is_none()) {
    return as_list(render, from_right ? rsplit_spaces(v.str(), most) : split_spaces(v.str(), most));
  }
  if (a.text(0).empty()) render.fail("empty separator");
  return as_list(render, from_right ? rsplit_at(v.str(), a.text(0), most)
                                    : split_at(v.str(), a.text(0), most));
}
Value split_method(Render& render, const Value& v, const Bound& a) {
  return split_with(render, v, a, /*from_right=*/false);
}
Value rsplit_method(Render& render, const Value& v, const Bound& a) {
  return split_with(render, v, a, /*from_right=*/true);
}
Value splitlines_method(Render& render, const Value& v, const Bound& a) {
  return as_list(render, split_lines(v.str(), a.flag(0, false)));
}

Value three(Render& render, std::string_view a, std::string_view b, std::string_view c) {
  return make_seq(render, SeqKind::kTuple,
                  {make_string(render, std::string(a)), make_string(render, std::string(b)),
                   make_string(render, std::string(c))});
}
Value partition_method(Render& render, const Value& v, const Bound& a) {
  const std::string_view text = v.str();
  const std::string& mark = a.text(0);
  if (mark.empty()) render.fail("empty separator");
  const size_t at = text.find(mark);
  if (at == std::string_view::npos) return three(render, text, "", "");
  return three(render, text.substr(0, at), mark, text.substr(at + mark.size()));
}
Value rpartition_method(Render& render, const Value& v, const Bound& a) {
  const std::string_view text = v.str();
  const std::string& mark = a.text(0);
  if (mark.empty()) render.fail("empty separator");
  const size_t at = text.rfind(mark);
  if (at == std::string_view::npos) return three(render, "", "", text);
  return three(render, text.substr(0, at), mark, text.substr(at + mark.size()));
}

/// The bytes of text[start:end], both counted in code points and from the right where negative.
struct Span {
  std::string_view text;
  int64_t start;  // code points before it
  bool valid;     // Python finds nothing, not even "", where start lies behind the end
};
Span span_of(std::string_view text, const Bound& a, size_t first) {
  if (!a.has(first) && !a.has(first + 1)) return {text, 0, true};
  const int64_t size = count_code_points(text);
  const auto clip = [&](size_t i, int64_t fallback) {
    if (!a.has(i) || a[i].is_none()) return fallback;
    const int64_t at = a.integer(i, 0);
    return at < 0 ? std::max<int64_t>(at + size, 0) : at;
  };
  const int64_t start = clip(first, 0), end = std::min(clip(first + 1, size), size);
  if (start > end) return {"", 0, false};
  size_t from = 0;
  for (int64_t i = 0; i < start; ++i) from += utf8_length(text[from]);
  size_t to = from;
  for (int64_t i = start; i < end; ++i) to += utf8_length(text[to]);
  return {text.substr(from, to - from), start, true};
}

bool has_end(std::string_view text, std::string_view part, bool at_start) {
  return at_start ? text.starts_with(part) : text.ends_with(part);
}

Value edge_test(Render& render, const Value& v, const Bound& a, bool at_start) {
  const Span span = span_of(v.str(), a, 1);
  if (!a[0].is(Kind::kSeq)) return span.valid && has_end(span.text, a.text(0), at_start);
  for (const Value& part : a[0].seq().items) {
    if (!part.is_string()) render.fail("startswith and endswith want strings");
    if (span.valid && has_end(span.text, part.str(), at_start)) return true;
  }
  return false;
}
Value startswith_method(Render& render, const Value& v, const Bound& a) {
  return edge_test(render, v, a, /*at_start=*/true);
}
Value endswith_method(Render& render, const Value& v, const Bound& a) {
  return edge_test(render, v, a, /*at_start=*/false);
}

int64_t find_in_span(const Value& v, const Bound& a, bool from_right) {
  const Span span = span_of(v.str(), a, 1);
  if (!span.valid) return -1;
  const size_t at = from_right ? span.text.rfind(a.text(0)) : span.text.find(a.text(0));
  if (at == std::string_view::npos) return -1;
  return span.start + count_code_points(span.text.substr(0, at));
}
Value find_text(Render& render, const Value& v, const Bound& a) {
  render.step(static_cast<int64_t>(v.str().size() / 64));
  return find_in_span(v, a, /*from_right=*/false);
}
Value rfind_text(Render& render, const Value& v, const Bound& a) {
  render.step(static_cast<int64_t>(v.str().size() / 64));
  return find_in_span(v, a, /*from_right=*/true);
}
Value index_text(Render& render, const Value& v, const Bound& a) {
  const int64_t at = find_in_span(v, a, /*from_right=*/false);
  if (at < 0) render.fail("substring not found");
  return at;
}
Value count_text(Render& render, const Value& v, const Bound& a) {
  const Span span = span_of(v.str(), a, 1);
  if (!span.valid) return 0;
  const std::string& part = a.text(0);
  if (part.empty()) return count_code_points(span.text) + 1;
  render.step(static_cast<int64_t>(span.text.size() / 64));
  int64_t count = 0;
  for (size_t at = span.text.find(part); at != std::string_view::npos;
       at = span.text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

Value replace_method(Render& render, const Value& v, const Bound& a) {
  const std::string_view text = v.str();
  const std::string &from = a.text(0), &to = a.text(1);
  int64_t left = a.integer(2, -1);
  if (left < 0) left = INT64_MAX;
  std::string out;
  const auto put = [&] {
    out += to;
    --left;
    render.check_string(static_cast<int64_t>(out.size()));
  };
  size_t at = 0;
  if (from.empty()) {  // Python puts the new text around every character
    if (left > 0) put();
    while (at < text.size()) {
      const int size = utf8_length(text[at]);
      out += text.substr(at, size);
      at += size;
      if (left > 0) put();
    }
    return make_string(render, std::move(out));
  }
  for (; left > 0; at += from.size()) {
    const size_t found = text.find(from, at);
    if (found == std::string_view::npos) break;
    out += text.substr(at, found - at);
    at = found;
    put();
  }
  out += text.substr(at);
  return make_string(render, std::move(out));
}

Value removeprefix_method(Render& render, const Value& v, const Bound& a) {
  const bool has = v.str().starts_with(a.text(0));
  return make_string(render, v.str().substr(has ? a.text(0).size() : 0));
}
Value removesuffix_method(Render& render, const Value& v, const Bound& a) {
  const bool has = v.str().ends_with(a.text(0));
  return make_string(render, v.str().substr(0, v.str().size() - (has ? a.text(0).size() : 0)));
}

Value join_method(Render& render, const Value& v, const Bound& a) {
  std::string out;
  int64_t i = 0;
  for (const Value& part : iterate(render, a[0])) {
    if (!part.is_string()) {
      render.fail(
          fmt::format("sequence item {}: expected str instance, {} found", i, type_name(part)));
    }
    if (i++) out += v.str();
    out += part.str();
    render.check_string(static_cast<int64_t>(out.size()));
  }
  return make_string(render, std::move(out));
}

std::string repeat_fill(Render& render, int64_t count, const std::string& fill) {
  std::string out;
  render.check_string(std::max<int64_t>(count, 0) * static_cast<int64_t>(fill.size()));
  for (int64_t i = 0; i < count; ++i) out += fill;
  return out;
}

/// Fills up to `width` code points, `left_share` of the fill on the left.
Value padded(Render& render, const Value& v, const Bound& a, Side text_side) {
  const std::string fill = a.text(1, " ");
  if (count_code_points(fill) != 1) {
    render.fail("The fill character must be exactly one character long");
  }
  const int64_t width = a.integer(0, 0);
  const int64_t lack = std::max<int64_t>(width - count_code_points(v.str()), 0);
  int64_t left = text_side == Side::kLeft ? 0 : lack;
  if (text_side == Side::kBoth) left = lack / 2 + (lack & width & 1);
  return make_string(
      render, repeat_fill(render, left, fill) + v.str() + repeat_fill(render, lack - left, fill));
}
Value ljust_method(Render& render, const Value& v, const Bound& a) {
  return padded(render, v, a, Side::kLeft);
}
Value rjust_method(Render& render, const Value& v, const Bound& a) {
  return padded(render, v, a, Side::kRight);
}
Value center_method(Render& render, const Value& v, const Bound& a) {
  return padded(render, v, a, Side::kBoth);
}
Value zfill_method(Render& render, const Value& v, const Bound& a) {
  const int64_t lack = a.integer(0, 0) - count_code_points(v.str());
  const size_t sign = v.str().starts_with('-') || v.str().starts_with('+') ? 1 : 0;
  return make_string(
      render, v.str().substr(0, sign) + repeat_fill(render, lack, "0") + v.str().substr(sign));
}

template <class Is>
bool all_of_text(const Value& v, Is is) {
  const std::u32string text = to_code_points(v.str());
  return !text.empty() && std::all_of(text.begin(), text.end(), is);
}
Value isdigit_method(Render&, const Value& v, const Bound&) { return all_of_text(v, is_digit); }
Value isalpha_method(Render&, const Value& v, const Bound&) { return all_of_text(v, is_alpha); }
Value isalnum_method(Render&, const Value& v, const Bound&) { return all_of_text(v, is_alnum); }
Value isspace_method(Render&, const Value& v, const Bound&) { return all_of_text(v, is_space); }
Value isupper_method(Render&, const Value& v, const Bound&) { return is_upper(v.str()); }
Value islower_method(Render&, const Value& v, const Bound&) { return is_lower(v.str()); }

Value format_method(Render& render, const Value& v, Arguments& arguments) {
  return make_string(render, format_braces(render, v.str(), arguments));
}

constexpr std::array kMethods = std::to_array<Method>({
    {"upper", "", 0, upper_method},
    {"lower", "", 0, lower_method},
    {"title", "", 0, title_method},
    {"capitalize", "", 0, capitalize_method},
    {"swapcase", "", 0, swapcase_method},
    {"strip", "chars", 0, strip_method},
    {"lstrip", "chars", 0, lstrip_method},
    {"rstrip", "chars", 0, rstrip_method},
    {"split", "sep maxsplit", 0, split_method},
    {"rsplit", "sep maxsplit", 0, rsplit_method},
    {"splitlines", "keepends", 0, splitlines_method},
    {"partition", "sep", 1, partition_method},
    {"rpartition", "sep", 1, rpartition_method},
    {"startswith", "prefix start end", 1, startswith_method},
    {"endswith", "suffix start end", 1, endswith_method},
    {"find", "sub start end", 1, find_text},
    {"rfind", "sub start end", 1, rfind_text},
    {"index", "sub start end", 1, index_text},
    {"count", "sub start end", 1, count_text},
    {"replace", "old new count", 2, replace_method},
    {"removeprefix", "prefix", 1, removeprefix_method},
    {"removesuffix", "suffix", 1, removesuffix_method},
    {"join", "iterable", 1, join_method},
    {"ljust", "width fillchar", 1, ljust_method},
    {"rjust", "width fillchar", 1, rjust_method},
    {"center", "width fillchar", 1, center_method},
    {"zfill", "width", 1, zfill_method},
    {"isdigit", "", 0, isdigit_method},
    {"isdecimal", "", 0, isdigit_method},
    {"isalpha", "", 0, isalpha_method},
    {"isalnum", "", 0, isalnum_method},
    {"isspace", "", 0, isspace_method},
    {"isupper", "", 0, isupper_method},
    {"islower", "", 0, islower_method},
    {"format", kVariadic, 0, nullptr, format_method},
});

}  // namespace

std::span<const Method> string_methods() { return kMethods; }

}  // namespace moge::text::jinja
