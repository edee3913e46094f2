// What statements do.
#include <algorithm>

#include "moge/text/jinja_render.h"

namespace moge::text::jinja {

namespace {

/// A macro with the scope it was written in; free names are looked up there when it runs.
class Macro : public Callable {
 public:
  Macro(const MacroCode& code, std::shared_ptr<Scope> home) : code_(code), home_(std::move(home)) {}

  Value call(Render& render, Arguments arguments) const override {
    const Render::ScopeGuard scope(render, home_);
    bind(render, arguments);
    Render::Capture capture(render);
    render.run(code_.body);
    return make_string(render, std::move(capture.text()));
  }

  std::string describe() const override { return "<Macro '" + code_.name + "'>"; }

 private:
  static bool take(NamedValues& named, std::string_view name, Value& out) {
    const auto found = std::find_if(named.begin(), named.end(),
                                    [&](const auto& entry) { return entry.first == name; });
    if (found == named.end()) return false;
    out = std::move(found->second);
    named.erase(found);
    return true;
  }

  void bind(Render& render, Arguments& arguments) const {
    for (size_t i = 0; i < code_.parameters.size(); ++i) {
      bind_parameter(render, code_.parameters[i], i, arguments);
    }
    if (code_.uses_caller) {
      Value caller = Value::undefined("No caller defined");
      take(arguments.named, "caller", caller);
      render.assign("caller", std::move(caller));
    }
    bind_rest(render, arguments);
  }

  void bind_parameter(Render& render, const MacroCode::Parameter& parameter, size_t i,
                      Arguments& arguments) const {
    Value value;
    const bool named = take(arguments.named, parameter.name, value);
    if (i < arguments.positional.size()) {
      if (named) {
        render.fail("macro '" + code_.name + "' got multiple values for argument '" +
                    parameter.name + "'");
      }
      value = arguments.positional[i];
    } else if (!named && parameter.fallback) {
      value = render.eval(*parameter.fallback);
    } else if (!named) {
      value = Value::undefined("parameter '" + parameter.name + "' was not provided");
    }
    render.assign(parameter.name, std::move(value));
  }

  void bind_rest(Render& render, Arguments& arguments) const {
    const size_t known = code_.parameters.size();
    auto& positional = arguments.positional;
    if (code_.uses_kwargs) {
      Dict rest;
      for (auto& [name, value] : arguments.named) {
        rest.set(render, Value::text(name), std::move(value));
      }
      render.assign("kwargs", make_dict(render, std::move(rest)));
    } else if (!arguments.named.empty()) {
      render.fail("macro '" + code_.name + "' takes no keyword argument '" +
                  arguments.named[0].first + "'");
    }
    if (code_.uses_varargs) {
      const size_t from = std::min(known, positional.size());
      Values rest(positional.begin() + static_cast<int64_t>(from), positional.end());
      render.assign("varargs", make_seq(render, SeqKind::kTuple, std::move(rest)));
    } else if (positional.size() > known) {
      render.fail("macro '" + code_.name + "' takes not more than " + std::to_string(known) +
                  " argument(s)");
    }
  }

  const MacroCode& code_;
  std::shared_ptr<Scope> home_;
};

Value make_macro(Render& render, const MacroCode& code) {
  render.keep(render.scope());
  render.charge(sizeof(Macro));
  return std::shared_ptr<const Callable>(std::make_shared<Macro>(code, render.scope()));
}

/// Applies the filters of a block to its text; their innermost subject is empty.
Value filter_text(Render& render, const Expr& expr, const Value& text) {
  const auto& filter = static_cast<const FilterExpr&>(expr);
  const Value subject = filter.subject ? filter_text(render, *filter.subject, text) : text;
  return apply_filter(render, *filter.filter, subject, filter.arguments.eval(render));
}

}  // namespace

Flow DataStmt::run(Render& render) const {
  render.emit(text);
  return Flow::kNext;
}

Flow OutputStmt::run(Render& render) const {
  const Value v = render.eval(*value);
  if (v.is_string()) {
    render.emit(v.str());
  } else {
    render.emit(to_str(render, v));
  }
  return Flow::kNext;
}

Flow IfStmt::run(Render& render) const {
  for (const auto& [condition, body] : branches) {
    if (truthy(render.eval(*condition))) return render.run(body);
  }
  return render.run(otherwise);
}

Values ForStmt::select(Render& render) const {
  Values all = iterate(render, render.eval(*items));
  if (!condition) return all;
  Values chosen;
  for (Value& item : all) {
    const Render::ScopeGuard scope(render, render.scope());
    render.assign(target, item);
    if (truthy(render.eval(*condition))) chosen.push_back(std::move(item));
  }
  return chosen;
}

Flow ForStmt::run(Render& render) const {
  const auto values = std::make_shared<const Values>(select(render));
  int nesting = 1;
  for (const Value& value : *values) nesting = std::max(nesting, nesting_of(value) + 1);
  if (nesting > kMaxNesting) render.fail("values nest deeper than {} levels", kMaxNesting);
  for (size_t i = 0; i < values->size(); ++i) {
    render.step();
    const Render::ScopeGuard scope(render, render.scope());
    render.assign(target, (*values)[i]);
    render.assign("loop",
                  std::shared_ptr<const Loop>(std::make_shared<Loop>(Loop{values, i, nesting})));
    if (render.run(body) == Flow::kBreak) break;
  }
  return values->empty() ? render.run(otherwise) : Flow::kNext;
}

Flow SetStmt::run(Render& render) const {
  render.assign(target, render.eval(*value));
  return Flow::kNext;
}

Flow SetBlockStmt::run(Render& render) const {
  Value text;
  {
    const Render::ScopeGuard scope(render, render.scope());
    Render::Capture capture(render);
    if (const Flow flow = render.run(body); flow != Flow::kNext) return flow;
    text = make_string(render, std::move(capture.text()));
    if (filter) text = filter_text(render, *filter, text);
  }
  render.assign(target, std::move(text));
  return Flow::kNext;
}

Flow MacroStmt::run(Render& render) const {
  render.assign(code.name, make_macro(render, code));
  return Flow::kNext;
}

Flow CallStmt::run(Render& render) const {
  Arguments values = arguments.eval(render);
  values.named.emplace_back("caller", make_macro(render, code));
  render.emit(to_str(render, render.call(render.eval(*callee), std::move(values))));
  return Flow::kNext;
}

Flow FilterStmt::run(Render& render) const {
  std::string text;
  {
    const Render::ScopeGuard scope(render, render.scope());
    Render::Capture capture(render);
    if (const Flow flow = render.run(body); flow != Flow::kNext) return flow;
    const Value value = make_string(render, std::move(capture.text()));
    text = to_str(render, filter_text(render, *filter, value));
  }
  render.emit(text);
  return Flow::kNext;
}

Flow ScopeStmt::run(Render& render) const {
  std::vector<Value> evaluated;
  for (const auto& [target, expr] : values) evaluated.push_back(render.eval(*expr));
  const Render::ScopeGuard scope(render, render.scope());
  for (size_t i = 0; i < values.size(); ++i) {
    render.assign(values[i].first, std::move(evaluated[i]));
  }
  return render.run(body);
}

}  // namespace moge::text::jinja
