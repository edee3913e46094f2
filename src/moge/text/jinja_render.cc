#include "moge/text/jinja_render.h"

#include <algorithm>

namespace moge::text::jinja {

namespace {

/// A method together with the object it was taken from.
struct BoundMethod : Callable {
  BoundMethod(Value o, const Method& m) : object(std::move(o)), method(m) {}
  Value call(Render& render, Arguments arguments) const override {
    return apply_filter(render, method, object, std::move(arguments));
  }
  std::string describe() const override {
    return "<built-in method " + std::string(method.name) + " of " +
           std::string(type_name(object)) + " object>";
  }
  int nesting() const override { return nesting_of(object) + 1; }
  Value object;
  const Method& method;
};

struct GlobalFunction : Callable {
  explicit GlobalFunction(const Function& f) : function(f) {}
  Value call(Render& render, Arguments arguments) const override {
    if (function.call_variadic) return function.call_variadic(render, arguments);
    return function.call(render, Bound(render, function.name, function.parameters,
                                       function.required, std::move(arguments)));
  }
  std::string describe() const override { return "<function " + std::string(function.name) + ">"; }
  const Function& function;
};

}  // namespace

const Value* Scope::find_here(std::string_view name) const {
  for (const auto& [key, value] : variables) {
    if (key == name) return &value;
  }
  return nullptr;
}

Render::Render(const Limits& limits, std::tm now) : Budget(limits), now_(now) {}

Render::~Render() {
  // Namespaces may hold each other, and scopes the macros that hold them. Emptied one by one while
  // these lists still hold every one of them, they go without recursion.
  for (const auto& space : namespaces_) space->attributes.clear();
  for (const auto& scope : kept_scopes_) scope->variables.clear();
  scope_->variables.clear();
}

Render::DepthGuard::DepthGuard(Render& r, int line) : render(r), outer_line(r.line()) {
  render.set_line(line);
  if (++render.depth_ > render.limits().max_depth) {
    --render.depth_;
    render.fail("macros and expressions nest deeper than {} levels", render.limits().max_depth);
  }
}

Render::DepthGuard::~DepthGuard() {
  --render.depth_;
  render.set_line(outer_line);
}

Render::ScopeGuard::ScopeGuard(Render& render, std::shared_ptr<Scope> parent)
    : render_(render), outer_(std::move(render.scope_)) {
  render_.charge(sizeof(Scope));
  render_.scope_ = std::make_shared<Scope>();
  render_.scope_->parent = std::move(parent);
}

std::string Render::run_template(const Body& body, NamedValues variables) {
  scope_->variables = std::move(variables);
  Capture capture(*this);
  run(body);
  return std::move(capture.text());
}

Value Render::eval(const Expr& expr) {
  step();
  const DepthGuard guard(*this, expr.line);
  return expr.eval(*this);
}

Flow Render::run(const Body& body) {
  for (const auto& statement : body) {
    step();
    const DepthGuard guard(*this, statement->line);
    if (const Flow flow = statement->run(*this); flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

void Render::emit(std::string_view text) {
  check_string(static_cast<int64_t>(out_->size() + text.size()));
  charge(static_cast<int64_t>(text.size()));
  *out_ += text;
}

Value Render::call(const Value& callee, Arguments arguments) {
  step();
  if (callee.is_undefined()) fail(callee.why());
  if (!callee.is(Kind::kCallable)) {
    fail("'" + std::string(type_name(callee)) + "' object is not callable");
  }
  const std::shared_ptr<const Callable> alive = callee.callable();
  return alive->call(*this, std::move(arguments));
}

Value Render::lookup(const std::string& name) {
  int64_t walked = 0;
  for (const Scope* scope = scope_.get(); scope; scope = scope->parent.get()) {
    if (const Value* found = scope->find_here(name)) return *found;
    walked += static_cast<int64_t>(scope->variables.size());
  }
  step(walked / 16);
  if (const Function* function = find_function(name)) {
    return std::shared_ptr<const Callable>(std::make_shared<GlobalFunction>(*function));
  }
  return Value::undefined("'" + name + "' is undefined");
}

void Render::assign(const std::string& name, Value value) {
  for (auto& [key, old] : scope_->variables) {
    if (key != name) continue;
    old = std::move(value);
    return;
  }
  charge(sizeof(Value));
  scope_->variables.emplace_back(name, std::move(value));
}

void Render::assign(const Target& target, Value value) {
  if (!target.attribute.empty()) {
    const Value space = lookup(target.name);
    if (!space.is(Kind::kNamespace)) fail("cannot assign attribute on non-namespace object");
    charge(sizeof(Value));
    return space.ns().set(target.attribute, std::move(value));
  }
  if (!target.name.empty()) return assign(target.name, std::move(value));
  if (!is_iterable(value)) {
    fail("cannot unpack non-iterable " + std::string(type_name(value)) + " object");
  }
  const Values items = iterate(*this, value);
  const auto want = target.items.size();
  if (items.size() > want) {
    fail("too many values to unpack (expected {})", static_cast<int64_t>(want));
  }
  if (items.size() < want) {
    fail("not enough values to unpack (expected " + std::to_string(want) + ", got " +
         std::to_string(items.size()) + ")");
  }
  for (size_t i = 0; i < want; ++i) assign(target.items[i], items[i]);
}

Value Render::make_namespace(NamedValues attributes) {
  charge(static_cast<int64_t>(sizeof(Namespace) + attributes.size() * sizeof(Value)));
  auto space = std::make_shared<Namespace>();
  space->attributes = std::move(attributes);
  namespaces_.push_back(space);
  return space;
}

Value Render::make_method(const Value& object, const Method& method) {
  auto bound = std::make_shared<BoundMethod>(object, method);
  if (bound->nesting() > kMaxNesting) fail("values nest deeper than {} levels", kMaxNesting);
  return std::shared_ptr<const Callable>(std::move(bound));
}

}  // namespace moge::text::jinja
