// Python's two string formats: "%s" % x and "{}".format(x), with the flags that text needs.
#include <algorithm>
#include <cmath>

#include "moge/core/error.h"
#include "moge/text/jinja_number.h"
#include "moge/text/jinja_render.h"
#include "moge/text/jinja_text.h"
#include "moge/text/utf8.h"

namespace moge::text::jinja {

namespace {

constexpr int64_t kMaxWidth = 10'000;

struct Spec {
  std::string fill = " ";
  char align = '\0';  // < > ^ =
  char sign = '-';    // - + blank
  bool alternate = false, thousands = false;
  int64_t width = 0, precision = -1;
  char type = '\0';
};

/// Digits of base 2, 8, 10 or 16 without sign.
std::string digits_of(Int value, int base, bool capital) {
  const char* symbols = capital ? "0123456789ABCDEF" : "0123456789abcdef";
  unsigned __int128 rest = value < 0 ? -static_cast<unsigned __int128>(value) : value;
  std::string out;
  do {
    out.insert(out.begin(), symbols[static_cast<int>(rest % base)]);
    rest /= base;
  } while (rest > 0);
  return out;
}

void group_thousands(std::string& digits) {
  size_t end = digits.find_first_not_of("0123456789");
  if (end == std::string::npos) end = digits.size();
  for (size_t i = end; i > 3; i -= 3) digits.insert(i - 3, ",");
}

std::string sign_of(bool negative, char style) {
  if (negative) return "-";
  return style == '-' ? "" : std::string(1, style);
}

std::string pad(const Spec& spec, std::string sign, std::string body, char fallback_align) {
  const int64_t lack = spec.width - count_code_points(sign) - count_code_points(body);
  const char align = spec.align ? spec.align : fallback_align;
  const auto fill = [&](int64_t n) {
    std::string out;
    for (int64_t i = 0; i < n; ++i) out += spec.fill;
    return out;
  };
  if (align == '=') return sign + fill(lack) + body;
  if (align == '<') return sign + body + fill(lack);
  if (align == '>') return fill(lack) + sign + body;
  const int64_t left = std::max<int64_t>(lack, 0) / 2;
  return fill(left) + sign + body + fill(lack - left);
}

std::string format_integer(const Spec& spec, Int value) {
  const int base = spec.type == 'x' || spec.type == 'X' ? 16
                   : spec.type == 'o'                   ? 8
                   : spec.type == 'b'                   ? 2
                                                        : 10;
  std::string digits = digits_of(value, base, spec.type == 'X');
  if (spec.precision > static_cast<int64_t>(digits.size())) {
    digits.insert(0, static_cast<size_t>(spec.precision) - digits.size(), '0');
  }
  if (spec.thousands) group_thousands(digits);
  std::string sign = sign_of(value < 0, spec.sign);
  if (spec.alternate && base != 10) sign += std::string("0") + spec.type;
  return pad(spec, sign, digits, '>');
}

std::string float_digits(const Spec& spec, double magnitude) {
  const int precision = spec.precision < 0 ? 6 : static_cast<int>(spec.precision);
  switch (spec.type) {
    case 'e':
      return fmt::format("{:.{}e}", magnitude, precision);
    case 'E':
      return fmt::format("{:.{}E}", magnitude, precision);
    case 'g':
      return fmt::format("{:.{}g}", magnitude, std::max(precision, 1));
    case 'G':
      return fmt::format("{:.{}G}", magnitude, std::max(precision, 1));
    case '%':
      return fmt::format("{:.{}f}%", magnitude * 100, precision);
    default:
      return fmt::format("{:.{}f}", magnitude, precision);
  }
}

std::string format_float(const Spec& spec, double value) {
  std::string digits = float_digits(spec, std::fabs(value));
  if (spec.thousands) group_thousands(digits);
  return pad(spec, sign_of(std::signbit(value) && !std::isnan(value), spec.sign), digits, '>');
}

std::string cut(std::string_view text, int64_t code_points) {
  size_t end = 0;
  for (int64_t i = 0; i < code_points && end < text.size(); ++i) end += utf8_length(text[end]);
  return std::string(text.substr(0, end));
}

std::string format_text(const Spec& spec, const std::string& text) {
  return pad(spec, "", spec.precision < 0 ? text : cut(text, spec.precision), '<');
}

int64_t read_number(Render& render, std::string_view text, size_t& at, int64_t fallback) {
  const size_t start = at;
  int64_t value = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    value = value * 10 + (text[at++] - '0');
    if (value > kMaxWidth) render.fail("a format is wider than {}", kMaxWidth);
  }
  return at == start ? fallback : value;
}

bool is_one_of(std::string_view set, std::string_view text, size_t at) {
  return at < text.size() && set.find(text[at]) != std::string_view::npos;
}

// ---- "%s" % value ----

class PercentFormatter {
 public:
  PercentFormatter(Render& render, std::string_view pattern, const Value& values)
      : render_(render), pattern_(pattern), values_(values) {}

  std::string run() {
    for (size_t at = 0; at < pattern_.size();) {
      if (pattern_[at] != '%') {
        out_ += pattern_[at++];
        continue;
      }
      if (++at < pattern_.size() && pattern_[at] == '%') {
        out_ += pattern_[at++];
      } else {
        field(at);
      }
      render_.check_string(static_cast<int64_t>(out_.size()));
    }
    const bool tuple = is_tuple();
    const bool left =
        tuple ? next_ < values_.seq().items.size()
              : next_ == 0 && !named_ && !values_.is(Kind::kDict) && !(values_.is(Kind::kSeq));
    if (left) render_.fail("not all arguments converted during string formatting");
    return std::move(out_);
  }

 private:
  bool is_tuple() const { return values_.is(Kind::kSeq) && values_.seq().kind == SeqKind::kTuple; }

  Value next() {
    if (is_tuple() && next_ < values_.seq().items.size()) return values_.seq().items[next_++];
    if (is_tuple() || next_ > 0) render_.fail("not enough arguments for format string");
    ++next_;
    return values_;
  }

  Value argument(size_t& at) {
    if (at >= pattern_.size() || pattern_[at] != '(') return next();
    const size_t end = pattern_.find(')', at);
    if (end == std::string_view::npos) render_.fail("incomplete format key");
    if (!values_.is(Kind::kDict)) render_.fail("format requires a mapping");
    const Value* found = values_.dict().find(pattern_.substr(at + 1, end - at - 1));
    if (!found) render_.fail("the format names a key that is not there");
    named_ = true;
    at = end + 1;
    return *found;
  }

  void field(size_t& at) {
    Spec spec;
    const bool by_name = at < pattern_.size() && pattern_[at] == '(';
    Value value;
    if (by_name) value = argument(at);
    bool left = false, zero = false;
    for (; is_one_of("-+ #0", pattern_, at); ++at) {
      left |= pattern_[at] == '-';
      zero |= pattern_[at] == '0';
      spec.alternate |= pattern_[at] == '#';
      if (pattern_[at] == '+' || (pattern_[at] == ' ' && spec.sign != '+'))
        spec.sign = pattern_[at];
    }
    spec.width = read_number(render_, pattern_, at, 0);
    if (is_one_of(".", pattern_, at)) spec.precision = read_number(render_, pattern_, ++at, 0);
    if (at >= pattern_.size()) render_.fail("incomplete format");
    spec.type = pattern_[at++];
    spec.align = left ? '<' : '>';
    if (!by_name) value = next();
    out_ += convert(spec, value, zero && !left);
  }

  std::string convert(Spec spec, const Value& value, bool zero) {
    if (spec.type == 's') return format_text(spec, to_str(render_, value));
    if (spec.type == 'r') return format_text(spec, repr(render_, value));
    if (spec.type == 'i' || spec.type == 'u') spec.type = 'd';
    const bool integral = is_one_of("dxXo", std::string_view(&spec.type, 1), 0);
    const bool real = is_one_of("fFeEgG", std::string_view(&spec.type, 1), 0);
    if (!integral && !real)
      render_.fail("unsupported format character '" + std::string(1, spec.type) + "'");
    if (!value.is_number()) {
      render_.fail("%" + std::string(1, spec.type) + " format: a number is required, not " +
                   std::string(type_name(value)));
    }
    if (zero) spec.fill = "0", spec.align = '=';
    if (real) return format_float(spec, value.real());
    if (value.is_integer()) return format_integer(spec, value.integer());
    if (!std::isfinite(value.real()) || std::fabs(value.real()) >= 0x1p126) {
      render_.fail("cannot convert a float that large to an integer");
    }
    return format_integer(spec, static_cast<Int>(value.real()));
  }

  Render& render_;
  std::string_view pattern_;
  const Value& values_;
  std::string out_;
  size_t next_ = 0;
  bool named_ = false;
};

// ---- "{}".format(value) ----

class BraceFormatter {
 public:
  BraceFormatter(Render& render, std::string_view pattern, const Arguments& arguments)
      : render_(render), pattern_(pattern), arguments_(arguments) {}

  std::string run() {
    for (size_t at = 0; at < pattern_.size();) {
      const char c = pattern_[at];
      const bool doubled = at + 1 < pattern_.size() && pattern_[at + 1] == c;
      if ((c == '{' || c == '}') && doubled) {
        out_ += c;
        at += 2;
      } else if (c == '{') {
        at = field(at + 1);
      } else {
        if (c == '}') render_.fail("Single '}' encountered in format string");
        out_ += c;
        ++at;
      }
      render_.check_string(static_cast<int64_t>(out_.size()));
    }
    return std::move(out_);
  }

 private:
  size_t field(size_t at) {
    const size_t end = pattern_.find('}', at);
    if (end == std::string_view::npos) render_.fail("expected '}' before end of string");
    std::string_view text = pattern_.substr(at, end - at);
    if (text.find('{') != std::string_view::npos) {
      render_.fail("formats inside formats are not supported");
    }
    const size_t colon = std::min(text.find(':'), text.size());
    const size_t bang = std::min(text.substr(0, colon).find('!'), colon);
    Value value = lookup(text.substr(0, bang));
    if (bang < colon) value = converted(value, text.substr(bang + 1, colon - bang - 1));
    out_ += formatted(value, colon < text.size() ? text.substr(colon + 1) : "");
    return end + 1;
  }

  Value converted(const Value& value, std::string_view how) {
    if (how == "r") return make_string(render_, repr(render_, value));
    if (how != "s") render_.fail("unknown conversion in a format");
    return make_string(render_, to_str(render_, value));
  }

  Value lookup(std::string_view path) {
    const size_t end = std::min(path.find_first_of(".["), path.size());
    Value value = root(path.substr(0, end));
    path.remove_prefix(end);
    while (!path.empty()) {
      const bool item = path[0] == '[';
      path.remove_prefix(1);
      const size_t stop = item ? path.find(']') : std::min(path.find_first_of(".["), path.size());
      if (stop == std::string_view::npos) render_.fail("Missing ']' in format string");
      const std::string_view name = path.substr(0, stop);
      const auto number = item ? parse_integer(name, 10) : std::nullopt;
      value = !item    ? get_attribute(render_, value, std::string(name))
              : number ? get_item(render_, value, *number)
                       : get_item(render_, value, Value::text(std::string(name)));
      path.remove_prefix(std::min(stop + (item ? 1 : 0), path.size()));
      if (item && !path.empty() && path[0] != '.' && path[0] != '[') {
        render_.fail("Only '.' or '[' may follow ']' in format field specifier");
      }
    }
    return value;
  }

  Value root(std::string_view name) {
    const auto number = parse_integer(name, 10);
    if (name.empty() || number) {
      const Int index = name.empty() ? Int{next_++} : *number;
      if (index < 0 || index >= static_cast<Int>(arguments_.positional.size())) {
        render_.fail("Replacement index out of range for positional args tuple");
      }
      return arguments_.positional[static_cast<size_t>(index)];
    }
    for (const auto& [key, value] : arguments_.named) {
      if (key == name) return value;
    }
    render_.fail("the format names '" + std::string(name) + "', which is not given");
  }

  Spec parse_spec(std::string_view text) {
    Spec spec;
    size_t at = 0;
    const size_t first = text.empty() ? 0 : static_cast<size_t>(utf8_length(text[0]));
    if (is_one_of("<>^=", text, first) && first > 0) {
      spec.fill = std::string(text.substr(0, first));
      spec.align = text[first];
      at = first + 1;
    } else if (is_one_of("<>^=", text, 0)) {
      spec.align = text[at++];
    }
    if (is_one_of("+- ", text, at)) spec.sign = text[at++];
    if (is_one_of("#", text, at)) spec.alternate = true, ++at;
    if (is_one_of("0", text, at)) {
      if (!spec.align) spec.fill = "0", spec.align = '=';
      ++at;
    }
    spec.width = read_number(render_, text, at, 0);
    if (is_one_of(",", text, at)) spec.thousands = true, ++at;
    if (is_one_of(".", text, at)) {
      spec.precision = read_number(render_, text, ++at, -1);
      if (spec.precision < 0) render_.fail("Format specifier missing precision");
    }
    if (is_one_of("sdxXobfFeEgG%", text, at)) spec.type = text[at++];
    if (at != text.size()) render_.fail("unsupported format specifier '" + std::string(text) + "'");
    return spec;
  }

  std::string formatted(const Value& value, std::string_view text) {
    if (text.empty()) return to_str(render_, value);
    const Spec spec = parse_spec(text);
    const bool real = is_one_of("fFeEgG%", std::string_view(&spec.type, 1), 0);
    if (value.is_string() && (spec.type == 's' || !spec.type) && spec.align != '=') {
      return format_text(spec, value.str());
    }
    if (value.is_number() && real) return format_float(spec, value.real());
    if (value.is_integer() && spec.type != 's' && spec.precision < 0) {
      return format_integer(spec, value.integer());
    }
    if (value.is(Kind::kFloat) && !spec.type && spec.precision < 0) {
      const std::string digits = float_repr(std::fabs(value.real()));
      return pad(spec, sign_of(std::signbit(value.real()), spec.sign), digits, '>');
    }
    render_.fail("unsupported format specifier '" + std::string(text) + "' for " +
                 std::string(type_name(value)));
  }

  Render& render_;
  std::string_view pattern_;
  const Arguments& arguments_;
  std::string out_;
  size_t next_ = 0;
};

}  // namespace

std::string format_percent(Render& render, std::string_view pattern, const Value& values) {
  return PercentFormatter(render, pattern, values).run();
}

std::string format_braces(Render& render, std::string_view pattern, const Arguments& arguments) {
  return BraceFormatter(render, pattern, arguments).run();
}

}  // namespace moge::text::jinja
