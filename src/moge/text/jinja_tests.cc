// `x is NAME`.
#include <array>

#include "moge/text/jinja_render.h"
#include "moge/text/jinja_text.h"

namespace moge::text::jinja {

namespace {

bool is_defined(Render&, const Value& v, const Bound&) { return !v.is_undefined(); }
bool is_undefined(Render&, const Value& v, const Bound&) { return v.is_undefined(); }
bool is_none(Render&, const Value& v, const Bound&) { return v.is_none(); }
bool is_boolean(Render&, const Value& v, const Bound&) { return v.is(Kind::kBool); }
bool is_true(Render&, const Value& v, const Bound&) { return v.is(Kind::kBool) && v.boolean(); }
bool is_false(Render&, const Value& v, const Bound&) { return v.is(Kind::kBool) && !v.boolean(); }
bool is_integer(Render&, const Value& v, const Bound&) { return v.is(Kind::kInt); }
bool is_float(Render&, const Value& v, const Bound&) { return v.is(Kind::kFloat); }
bool is_number(Render&, const Value& v, const Bound&) { return v.is_number(); }
bool is_string(Render&, const Value& v, const Bound&) { return v.is_string(); }
bool is_mapping(Render&, const Value& v, const Bound&) { return v.is(Kind::kDict); }
bool is_iterable_value(Render&, const Value& v, const Bound&) { return is_iterable(v); }
bool is_callable(Render&, const Value& v, const Bound&) { return v.is(Kind::kCallable); }

/// Python has a length and items for it; an undefined value has them too.
bool is_sequence(Render&, const Value& v, const Bound&) {
  return v.is_undefined() || v.is_string() || v.is(Kind::kDict) ||
         (v.is(Kind::kSeq) && v.seq().is_sequence());
}

bool is_same(Render& render, const Value& v, const Bound& a) {
  if (v.kind() != a[0].kind()) return false;
  if (v.is_number() || v.is_none()) return equals(render, v, a[0]);
  return v.identity() == a[0].identity();
}

Int remainder(Render& render, const Value& v, const Value& by) {
  const Value r = arithmetic(render, "%", v, by);
  if (r.is_integer()) return r.integer();
  return r.is_number() && r.real() == 0 ? 0 : 2;  // 2: neither even nor odd
}
bool is_odd(Render& render, const Value& v, const Bound&) { return remainder(render, v, 2) == 1; }
bool is_even(Render& render, const Value& v, const Bound&) { return remainder(render, v, 2) == 0; }
bool is_divisible(Render& render, const Value& v, const Bound& a) {
  return remainder(render, v, a[0]) == 0;
}

bool is_lower_case(Render& render, const Value& v, const Bound&) {
  return is_lower(to_str(render, v));
}
bool is_upper_case(Render& render, const Value& v, const Bound&) {
  return is_upper(to_str(render, v));
}

bool is_equal(Render& render, const Value& v, const Bound& a) {
  return compare(render, "==", v, a[0]);
}
bool is_unequal(Render& render, const Value& v, const Bound& a) {
  return compare(render, "!=", v, a[0]);
}
bool is_less(Render& render, const Value& v, const Bound& a) {
  return compare(render, "<", v, a[0]);
}
bool is_at_most(Render& render, const Value& v, const Bound& a) {
  return compare(render, "<=", v, a[0]);
}
bool is_greater(Render& render, const Value& v, const Bound& a) {
  return compare(render, ">", v, a[0]);
}
bool is_at_least(Render& render, const Value& v, const Bound& a) {
  return compare(render, ">=", v, a[0]);
}
bool is_in(Render& render, const Value& v, const Bound& a) {
  return compare(render, "in", v, a[0]);
}

bool is_filter(Render& render, const Value& v, const Bound&) {
  check_hashable(render, v);
  return v.is_string() && find_filter(v.str()) != nullptr;
}
bool is_test(Render& render, const Value& v, const Bound&) {
  check_hashable(render, v);
  return v.is_string() && find_test(v.str()) != nullptr;
}

constexpr std::array kTests = std::to_array<Test>({
    {"defined", "", 0, is_defined},
    {"undefined", "", 0, is_undefined},
    {"none", "", 0, is_none},
    {"boolean", "", 0, is_boolean},
    {"true", "", 0, is_true},
    {"false", "", 0, is_false},
    {"integer", "", 0, is_integer},
    {"float", "", 0, is_float},
    {"number", "", 0, is_number},
    {"string", "", 0, is_string},
    {"mapping", "", 0, is_mapping},
    {"iterable", "", 0, is_iterable_value},
    {"sequence", "", 0, is_sequence},
    {"callable", "", 0, is_callable},
    {"sameas", "other", 1, is_same},
    {"odd", "", 0, is_odd},
    {"even", "", 0, is_even},
    {"divisibleby", "num", 1, is_divisible},
    {"lower", "", 0, is_lower_case},
    {"upper", "", 0, is_upper_case},
    {"filter", "", 0, is_filter},
    {"test", "", 0, is_test},
    {"in", "seq", 1, is_in},
    {"eq", "b", 1, is_equal},
    {"equalto", "b", 1, is_equal},
    {"==", "b", 1, is_equal},
    {"ne", "b", 1, is_unequal},
    {"!=", "b", 1, is_unequal},
    {"lt", "b", 1, is_less},
    {"lessthan", "b", 1, is_less},
    {"<", "b", 1, is_less},
    {"le", "b", 1, is_at_most},
    {"<=", "b", 1, is_at_most},
    {"gt", "b", 1, is_greater},
    {"greaterthan", "b", 1, is_greater},
    {">", "b", 1, is_greater},
    {"ge", "b", 1, is_at_least},
    {">=", "b", 1, is_at_least},
});

}  // namespace

std::span<const Test> all_tests() { return kTests; }

}  // namespace moge::text::jinja
