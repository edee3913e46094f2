// What expressions give.
#include "moge/text/jinja_render.h"

namespace moge::text::jinja {

Arguments CallArguments::eval(Render& render) const {
  Arguments out;
  for (const ExprPtr& value : positional) out.positional.push_back(render.eval(*value));
  for (const auto& [name, value] : named) out.named.emplace_back(name, render.eval(*value));
  if (star) {
    for (Value& value : iterate(render, render.eval(*star))) {
      out.positional.push_back(std::move(value));
    }
  }
  if (!double_star) return out;
  const Value more = render.eval(*double_star);
  if (!more.is(Kind::kDict)) render.fail("the argument behind ** must be a mapping");
  for (const auto& [key, value] : more.dict().items) {
    if (!key.is_string()) render.fail("keywords must be strings");
    out.named.emplace_back(key.str(), value);
  }
  return out;
}

Value ConstExpr::eval(Render&) const { return value; }

Value NameExpr::eval(Render& render) const { return render.lookup(name); }

Value SeqExpr::eval(Render& render) const {
  Values values;
  for (const ExprPtr& item : items) values.push_back(render.eval(*item));
  return make_seq(render, kind, std::move(values));
}

Value DictExpr::eval(Render& render) const {
  Dict dict;
  for (const auto& [key, value] : items) {
    Value k = render.eval(*key);
    check_hashable(render, k);
    dict.set(render, std::move(k), render.eval(*value));
  }
  return make_dict(render, std::move(dict));
}

Value AttributeExpr::eval(Render& render) const {
  return get_attribute(render, render.eval(*object), name);
}

Value ItemExpr::eval(Render& render) const {
  const Value from = render.eval(*object);
  return get_item(render, from, render.eval(*index));
}

Value SliceExpr::eval(Render& render) const {
  const auto bound = [&](const ExprPtr& e) { return e ? render.eval(*e) : Value(None{}); };
  const Value from = render.eval(*object);
  const Value first = bound(start), last = bound(stop);
  return get_slice(render, from, first, last, bound(stride));
}

Value CallExpr::eval(Render& render) const {
  const Value function = render.eval(*callee);
  return render.call(function, arguments.eval(render));
}

Value FilterExpr::eval(Render& render) const {
  const Value value = render.eval(*subject);
  return apply_filter(render, *filter, value, arguments.eval(render));
}

Value TestExpr::eval(Render& render) const {
  const Value value = render.eval(*subject);
  return apply_test(render, *test, value, arguments.eval(render)) != negated;
}

Value UnaryExpr::eval(Render& render) const {
  const Value value = render.eval(*operand);
  if (op == '!') return !truthy(value);
  if (value.is_undefined()) render.fail(value.why());
  if (!value.is_number()) {
    render.fail("bad operand type for unary " + std::string(1, op) + ": '" +
                std::string(type_name(value)) + "'");
  }
  if (value.is(Kind::kFloat)) return op == '-' ? -value.real() : value.real();
  return op == '-' ? arithmetic(render, "-", 0, value) : Value(value.integer());
}

Value BinaryExpr::eval(Render& render) const {
  Value a = render.eval(*left);
  if (op == "and") return truthy(a) ? render.eval(*right) : a;
  if (op == "or") return truthy(a) ? a : render.eval(*right);
  return arithmetic(render, op, a, render.eval(*right));
}

Value ConcatExpr::eval(Render& render) const {
  std::string text;
  for (const ExprPtr& part : parts) {
    const Value value = render.eval(*part);
    text += value.is_string() ? value.str() : to_str(render, value);
    render.check_string(static_cast<int64_t>(text.size()));
  }
  return make_string(render, std::move(text));
}

Value CompareExpr::eval(Render& render) const {
  Value a = render.eval(*first);
  for (const auto& [op, expr] : rest) {
    Value b = render.eval(*expr);
    if (!compare(render, op, a, b)) return false;
    a = std::move(b);
  }
  return true;
}

Value ConditionalExpr::eval(Render& render) const {
  if (truthy(render.eval(*condition))) return render.eval(*then);
  if (otherwise) return render.eval(*otherwise);
  return Value::undefined("the inline if-expression on line " + std::to_string(line) +
                          " evaluated to false and no else section was defined.");
}

}  // namespace moge::text::jinja
