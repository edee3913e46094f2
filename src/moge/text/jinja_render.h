// One rendering: scopes, output and the budget.
#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "moge/text/jinja_ast.h"

namespace moge::text::jinja {

/// Names of one frame. A lookup goes outward; an assignment stays inside.
struct Scope {
  std::shared_ptr<Scope> parent;
  NamedValues variables;
  const Value* find_here(std::string_view name) const;
};

class Render : public Budget {
 public:
  Render(const Limits& limits, std::tm now);
  ~Render();
  Render(const Render&) = delete;
  Render& operator=(const Render&) = delete;

  /// Runs the template; call once.
  std::string run_template(const Body& body, NamedValues variables);

  Value eval(const Expr& expr);
  Flow run(const Body& body);
  void emit(std::string_view text);
  Value call(const Value& callee, Arguments arguments);

  Value lookup(const std::string& name);
  void assign(const std::string& name, Value value);
  void assign(const Target& target, Value value);

  const std::shared_ptr<Scope>& scope() const { return scope_; }
  /// Remembers a scope that a macro or caller holds on to, to break the cycle at the end.
  void keep(std::shared_ptr<Scope> scope) { kept_scopes_.push_back(std::move(scope)); }
  Value make_namespace(NamedValues attributes);
  Value make_method(const Value& object, const Method& method);
  const std::tm& now() const { return now_; }

  /// A new innermost scope below `parent` for the guard's life.
  class ScopeGuard {
   public:
    ScopeGuard(Render& render, std::shared_ptr<Scope> parent);
    ~ScopeGuard() { render_.scope_ = std::move(outer_); }
    ScopeGuard(const ScopeGuard&) = delete;
    ScopeGuard& operator=(const ScopeGuard&) = delete;

   private:
    Render& render_;
    std::shared_ptr<Scope> outer_;
  };

  /// Output goes into `text()` instead for the guard's life.
  class Capture {
   public:
    explicit Capture(Render& render) : render_(render), outer_(render.out_) {
      render.out_ = &text_;
    }
    ~Capture() { render_.out_ = outer_; }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    std::string& text() { return text_; }

   private:
    Render& render_;
    std::string* outer_;
    std::string text_;
  };

 private:
  struct DepthGuard {
    DepthGuard(Render& render, int line);
    ~DepthGuard();
    Render& render;
    int outer_line;
  };

  std::shared_ptr<Scope> scope_ = std::make_shared<Scope>();
  std::string* out_ = nullptr;
  std::tm now_;
  int depth_ = 0;
  std::vector<std::shared_ptr<Scope>> kept_scopes_;
  std::vector<std::shared_ptr<Namespace>> namespaces_;
};

/// Jinja's `object.name`: a method or attribute first, then the item of that name.
Value get_attribute(Render& render, const Value& object, const std::string& name);
/// Jinja's `object[key]`: the item first; undefined where there is none.
Value get_item(Render& render, const Value& object, const Value& key);
Value get_slice(Render& render, const Value& object, const Value& start, const Value& stop,
                const Value& stride);
/// + - * / // % **
Value arithmetic(Render& render, std::string_view op, const Value& a, const Value& b);
bool compare(Render& render, std::string_view op, const Value& a, const Value& b);
/// Python's "..." % value and "...".format(...).
std::string format_percent(Render& render, std::string_view pattern, const Value& values);
std::string format_braces(Render& render, std::string_view pattern, const Arguments& arguments);

}  // namespace moge::text::jinja
