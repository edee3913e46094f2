// Arithmetic and comparison with Python's rules.
#include <algorithm>
#include <cmath>

#include "moge/text/jinja_render.h"

namespace moge::text::jinja {

namespace {

[[noreturn]] void unsupported(Render& render, std::string_view op, const Value& a, const Value& b) {
  render.fail("unsupported operand type(s) for " + std::string(op) + ": '" +
              std::string(type_name(a)) + "' and '" + std::string(type_name(b)) + "'");
}

Int whole(Render& render, char op, Int a, Int b) {
  Int out = 0;
  const bool overflow = op == '+'   ? __builtin_add_overflow(a, b, &out)
                        : op == '-' ? __builtin_sub_overflow(a, b, &out)
                                    : __builtin_mul_overflow(a, b, &out);
  if (overflow) render.fail("an integer outgrows 128 bits");
  return out;
}

Int floor_divide(Int a, Int b) {
  const Int q = a / b;
  return (a % b != 0 && (a < 0) != (b < 0)) ? q - 1 : q;
}

Int power(Render& render, Int base, Int exponent) {
  Int result = 1;
  if (base == 0 || base == 1) return exponent == 0 ? 1 : base;
  if (base == -1) return exponent % 2 == 0 ? 1 : -1;
  for (Int i = 0; i < exponent; ++i) {  // overflows within 127 turns
    result = whole(render, '*', result, base);
  }
  return result;
}

double float_modulo(double a, double b) {
  double r = std::fmod(a, b);
  if (r != 0 && (r < 0) != (b < 0)) r += b;
  return r == 0 ? std::copysign(0.0, b) : r;
}

Value integer_op(Render& render, std::string_view op, Int a, Int b) {
  if (op == "+" || op == "-" || op == "*") return whole(render, op[0], a, b);
  if (op == "**" && b >= 0) return power(render, a, b);
  if (op == "**" && a != 0) return std::pow(static_cast<double>(a), static_cast<double>(b));
  if (b == 0 || op == "**") {
    render.fail(op == "/"    ? "division by zero"
                : op == "**" ? "0.0 cannot be raised to a negative power"
                             : "integer division or modulo by zero");
  }
  if (op == "/") return static_cast<double>(a) / static_cast<double>(b);
  if (b == -1) return op == "//" ? integer_op(render, "-", 0, a) : Value(0);
  const Int q = floor_divide(a, b);
  return op == "//" ? Value(q) : Value(a - q * b);
}

Value float_op(Render& render, std::string_view op, double a, double b) {
  if (op == "+") return a + b;
  if (op == "-") return a - b;
  if (op == "*") return a * b;
  if (op == "**") {
    if (a == 0 && b < 0) render.fail("0.0 cannot be raised to a negative power");
    if (a < 0 && b != std::floor(b)) render.fail("complex numbers are not supported");
    const double out = std::pow(a, b);
    if (std::isinf(out) && !std::isinf(a) && !std::isinf(b))
      render.fail("(34, 'Numerical result out of range')");
    return out;
  }
  if (b == 0) render.fail(op == "/" ? "float division by zero" : "float floor division by zero");
  if (op == "/") return a / b;
  const double r = float_modulo(a, b);
  if (op == "%") return r;
  const double q = (a - r) / b;
  const double down = std::floor(q);
  return q - down > 0.5 ? down + 1 : down;  // the quotient is whole but for rounding
}

/// text * n and list * n.
Value repeated(Render& render, const Value& object, Int times) {
  const auto size =
      static_cast<Int>(object.is_string() ? object.str().size() : object.seq().items.size());
  const Int count = std::max<Int>(times, 0);
  if (count > 0 && size > (Int{1} << 40) / count) render.fail("a repetition outgrows 2^40 items");
  const auto total = static_cast<int64_t>(size * count);
  if (object.is_string()) {
    render.check_string(total);
    std::string out;
    out.reserve(static_cast<size_t>(total));
    for (Int i = 0; size > 0 && i < count; ++i) out += object.str();
    return make_string(render, std::move(out));
  }
  render.charge(total * static_cast<int64_t>(sizeof(Value)));
  render.step(total);
  Values out;
  for (Int i = 0; size > 0 && i < count; ++i) {
    out.insert(out.end(), object.seq().items.begin(), object.seq().items.end());
  }
  return make_seq(render, object.seq().kind, std::move(out));
}

bool is_repeatable(const Value& v) {
  return v.is_string() || (v.is(Kind::kSeq) && v.seq().kind <= SeqKind::kTuple);
}

Value added(Render& render, const Value& a, const Value& b) {
  if (a.is_string() && b.is_string()) {
    render.check_string(static_cast<int64_t>(a.str().size() + b.str().size()));
    return make_string(render, a.str() + b.str());
  }
  const bool lists = a.is(Kind::kSeq) && b.is(Kind::kSeq) && a.seq().kind == b.seq().kind &&
                     a.seq().kind <= SeqKind::kTuple;
  if (lists) {
    Values out = a.seq().items;
    out.insert(out.end(), b.seq().items.begin(), b.seq().items.end());
    render.step(static_cast<int64_t>(out.size() / 4));
    return make_seq(render, a.seq().kind, std::move(out));
  }
  if (a.is_string() || is_repeatable(a)) {
    const std::string type(type_name(a));
    render.fail("can only concatenate " + type + " (not \"" + std::string(type_name(b)) +
                "\") to " + type);
  }
  unsupported(render, "+", a, b);
}

}  // namespace

Value arithmetic(Render& render, std::string_view op, const Value& a, const Value& b) {
  if (a.is_undefined()) render.fail(a.why());
  if (op == "%" && a.is_string()) return make_string(render, format_percent(render, a.str(), b));
  if (b.is_undefined()) render.fail(b.why());
  if (a.is_integer() && b.is_integer()) return integer_op(render, op, a.integer(), b.integer());
  if (a.is_number() && b.is_number()) return float_op(render, op, a.real(), b.real());
  if (op == "+") return added(render, a, b);
  if (op == "*" && is_repeatable(a) && b.is_integer()) return repeated(render, a, b.integer());
  if (op == "*" && is_repeatable(b) && a.is_integer()) return repeated(render, b, a.integer());
  unsupported(render, op == "**" ? "** or pow()" : op, a, b);
}

bool compare(Render& render, std::string_view op, const Value& a, const Value& b) {
  if (op == "==") return equals(render, a, b);
  if (op == "!=") return !equals(render, a, b);
  if (op == "in") return contains(render, b, a);
  if (op == "not in") return !contains(render, b, a);
  if (op == "<") return less(render, a, b, op);
  if (op == ">") return less(render, b, a, op);
  const bool nan = a.is_number() && b.is_number() && (a.real() != a.real() || b.real() != b.real());
  if (op == "<=") return !less(render, b, a, op) && !nan;
  return !less(render, a, b, op) && !nan;
}

}  // namespace moge::text::jinja
