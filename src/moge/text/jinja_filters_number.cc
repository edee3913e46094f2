// Filters that make and round numbers.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "moge/core/error.h"
#include "moge/text/jinja_number.h"
#include "moge/text/jinja_render.h"
#include "moge/text/jinja_text.h"

namespace moge::text::jinja {

namespace {

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

/// Drops single underscores between digits; nothing where one stands elsewhere.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    const bool inside =
        i > 0 && i + 1 < text.size() && digit_of(text[i - 1]) < 36 && digit_of(text[i + 1]) < 36;
    if (!inside) return std::nullopt;
  }
  return out;
}

bool is_word(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

std::string_view drop_sign(std::string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
  return text;
}

std::optional<Int> truncated(double value) {
  if (!std::isfinite(value) || std::fabs(value) >= 0x1p126) return std::nullopt;
  return static_cast<Int>(value);
}

Value int_filter(Render& render, const Value& v, const Bound& a) {
  if (v.is_undefined()) render.fail(v.why());
  const Value fallback = a.get(0, 0);
  if (v.is_integer()) return v.integer();
  if (v.is(Kind::kFloat)) return truncated(v.real()) ? Value(*truncated(v.real())) : fallback;
  if (!v.is_string()) return fallback;
  const int64_t base = a.integer(1, 10);
  if (base != 0 && (base < 2 || base > 36)) return fallback;
  if (const auto parsed = parse_integer(v.str(), static_cast<int>(base))) return *parsed;
  const auto number = parse_float(v.str());  // "42.9" is 42
  return number && truncated(*number) ? Value(*truncated(*number)) : fallback;
}

Value float_filter(Render& render, const Value& v, const Bound& a) {
  if (v.is_undefined()) render.fail(v.why());
  if (v.is_number()) return v.real();
  const auto number = v.is_string() ? parse_float(v.str()) : std::nullopt;
  return number ? Value(*number) : a.get(0, 0.0);
}

Value abs_filter(Render& render, const Value& v, const Bound&) {
  if (v.is_undefined()) render.fail(v.why());
  if (v.is(Kind::kFloat)) return std::fabs(v.real());
  if (!v.is_integer()) {
    render.fail("bad operand type for abs(): '" + std::string(type_name(v)) + "'");
  }
  return v.integer() < 0 ? arithmetic(render, "-", 0, v) : Value(v.integer());
}

/// Python's round(x, n): to the decimal nearest the exact binary value, ties to even.
double round_decimal(double value, int64_t digits) {
  if (!std::isfinite(value) || digits > 320) return value;
  if (digits < 0) {
    const double unit = std::pow(10.0, static_cast<double>(-digits));
    return digits < -308 ? 0.0 : std::nearbyint(value / unit) * unit;
  }
  return std::strtod(fmt::format("{:.{}f}", value, static_cast<int>(digits)).c_str(), nullptr);
}

Value round_filter(Render& render, const Value& v, const Bound& a) {
  if (v.is_undefined()) render.fail(v.why());
  if (!v.is_number()) render.fail("type " + std::string(type_name(v)) + " cannot be rounded");
  const int64_t digits = a.integer(0, 0);
  const std::string method = a.text(1, "common");
  if (method == "common") {
    if (v.is_integer() && digits >= 0) return v.integer();
    return v.is_integer() ? Value(static_cast<Int>(round_decimal(v.real(), digits)))
                          : Value(round_decimal(v.real(), digits));
  }
  if (method != "ceil" && method != "floor") render.fail("method must be common, ceil or floor");
  const double unit = std::pow(10.0, static_cast<double>(digits));
  const double scaled = v.real() * unit;
  return (method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / unit;
}

constexpr std::array kFilters = std::to_array<Filter>({
    {"int", "default base", 0, int_filter},
    {"float", "default", 0, float_filter},
    {"abs", "", 0, abs_filter},
    {"round", "precision method", 0, round_filter},
});

}  // namespace

std::optional<Int> parse_integer(std::string_view text, int base) {
  text = strip_spaces(text, Side::kBoth);
  const bool negative = text.starts_with('-');
  std::string_view digits = drop_sign(text);
  const auto prefix = [&](char mark, int its_base) {
    if (base != 0 && base != its_base) return false;
    if (digits.size() < 3 || digits[0] != '0' || (digits[1] | 0x20) != mark) return false;
    digits.remove_prefix(digits[2] == '_' ? 3 : 2);
    base = its_base;
    return true;
  };
  if (!prefix('x', 16) && !prefix('o', 8) && !prefix('b', 2) && base == 0) base = 10;
  const auto plain = without_underscores(digits);
  if (!plain || plain->empty()) return std::nullopt;
  Int value = 0;
  for (char c : *plain) {
    const int digit = digit_of(c);
    if (digit >= base || __builtin_mul_overflow(value, Int{base}, &value) ||
        __builtin_add_overflow(value, Int{digit}, &value)) {
      return std::nullopt;
    }
  }
  return negative ? -value : value;
}

std::optional<double> parse_float(std::string_view text) {
  text = strip_spaces(text, Side::kBoth);
  const bool negative = text.starts_with('-');
  const std::string word = to_lower(drop_sign(text));
  if (is_word(word, {"inf", "infinity"})) return negative ? -INFINITY : INFINITY;
  if (word == "nan") return NAN;
  const auto plain = without_underscores(text);
  const bool decimal = plain && !plain->empty() && text.size() < 5000 &&
                       plain->find_first_not_of("0123456789+-.eE") == std::string::npos;
  if (!decimal) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(plain->c_str(), &end);
  if (end != plain->c_str() + plain->size()) return std::nullopt;
  return value;
}

std::span<const Filter> number_filters() { return kFilters; }

}  // namespace moge::text::jinja
