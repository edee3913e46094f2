// The tree of a template: expressions give a value, statements write text. Nodes never change after
// parsing, so one template renders on many threads.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "moge/text/jinja_builtin.h"
#include "moge/text/jinja_value.h"

namespace moge::text::jinja {

struct Expr {
  explicit Expr(int at) : line(at) {}
  virtual ~Expr() = default;
  virtual Value eval(Render& render) const = 0;
  int line;
  int height = 1;  // of the tree below; the parser bounds it
};
using ExprPtr = std::unique_ptr<Expr>;
using ExprList = std::vector<ExprPtr>;

enum class Flow : uint8_t { kNext, kBreak, kContinue };

struct Stmt {
  explicit Stmt(int at) : line(at) {}
  virtual ~Stmt() = default;
  virtual Flow run(Render& render) const = 0;
  int line;
};
using Body = std::vector<std::unique_ptr<Stmt>>;

/// (a, b, key=c, *rest, **more)
struct CallArguments {
  ExprList positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr star, double_star;
  Arguments eval(Render& render) const;
};

struct ConstExpr : Expr {
  ConstExpr(int at, Value v) : Expr(at), value(std::move(v)) {}
  Value eval(Render& render) const override;
  Value value;
};

struct NameExpr : Expr {
  NameExpr(int at, std::string n) : Expr(at), name(std::move(n)) {}
  Value eval(Render& render) const override;
  std::string name;
};

struct SeqExpr : Expr {
  SeqExpr(int at, SeqKind k) : Expr(at), kind(k) {}
  Value eval(Render& render) const override;
  SeqKind kind;
  ExprList items;
};

struct DictExpr : Expr {
  using Expr::Expr;
  Value eval(Render& render) const override;
  std::vector<std::pair<ExprPtr, ExprPtr>> items;
};

struct AttributeExpr : Expr {
  using Expr::Expr;
  Value eval(Render& render) const override;
  ExprPtr object;
  std::string name;
};

struct ItemExpr : Expr {
  using Expr::Expr;
  Value eval(Render& render) const override;
  ExprPtr object, index;
};

struct SliceExpr : Expr {
  using Expr::Expr;
  Value eval(Render& render) const override;
  ExprPtr object, start, stop, stride;
};

struct CallExpr : Expr {
  using Expr::Expr;
  Value eval(Render& render) const override;
  ExprPtr callee;
  CallArguments arguments;
};

struct FilterExpr : Expr {
  using Expr::Expr;
  Value eval(Render& render) const override;
  ExprPtr subject;  // null: the text of a block
  const Filter* filter = nullptr;
  CallArguments arguments;
};

struct TestExpr : Expr {
  using Expr::Expr;
  Value eval(Render& render) const override;
  ExprPtr subject;
  const Test* test = nullptr;
  bool negated = false;
  CallArguments arguments;
};

struct UnaryExpr : Expr {
  using Expr::Expr;
  Value eval(Render& render) const override;
  char op = '-';  // '-' '+' '!'
  ExprPtr operand;
};

struct BinaryExpr : Expr {
  using Expr::Expr;
  Value eval(Render& render) const override;
  std::string op;  // arithmetic, "and", "or"
  ExprPtr left, right;
};

struct ConcatExpr : Expr {
  using Expr::Expr;
  Value eval(Render& render) const override;
  ExprList parts;
};

/// a < b <= c: each operand is taken once.
struct CompareExpr : Expr {
  using Expr::Expr;
  Value eval(Render& render) const override;
  ExprPtr first;
  std::vector<std::pair<std::string, ExprPtr>> rest;
};

struct ConditionalExpr : Expr {
  using Expr::Expr;
  Value eval(Render& render) const override;
  ExprPtr condition, then, otherwise;
};

/// What can be assigned: a name, names in a tuple, an attribute of a namespace.
struct Target {
  int line = 0;
  std::string name;       // empty: a tuple
  std::string attribute;  // of the namespace `name`
  std::vector<Target> items;
};

struct DataStmt : Stmt {
  using Stmt::Stmt;
  Flow run(Render& render) const override;
  std::string text;
};

struct OutputStmt : Stmt {
  using Stmt::Stmt;
  Flow run(Render& render) const override;
  ExprPtr value;
};

struct IfStmt : Stmt {
  using Stmt::Stmt;
  Flow run(Render& render) const override;
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body otherwise;
};

struct ForStmt : Stmt {
  using Stmt::Stmt;
  Flow run(Render& render) const override;
  Target target;
  ExprPtr items, condition;
  Body body, otherwise;

 private:
  Values select(Render& render) const;
};

struct SetStmt : Stmt {
  using Stmt::Stmt;
  Flow run(Render& render) const override;
  Target target;
  ExprPtr value;
};

struct SetBlockStmt : Stmt {
  using Stmt::Stmt;
  Flow run(Render& render) const override;
  Target target;
  ExprPtr filter;  // applied to the block's text; may be null
  Body body;
};

struct MacroCode {
  struct Parameter {
    std::string name;
    ExprPtr fallback;
  };
  std::string name;
  int line = 0;
  std::vector<Parameter> parameters;
  bool uses_varargs = false, uses_kwargs = false, uses_caller = false;
  Body body;
};

struct MacroStmt : Stmt {
  using Stmt::Stmt;
  Flow run(Render& render) const override;
  MacroCode code;
};

/// {% call(x) f(y) %}...{% endcall %}: f's `caller` is the block.
struct CallStmt : Stmt {
  using Stmt::Stmt;
  Flow run(Render& render) const override;
  MacroCode code;
  ExprPtr callee;
  CallArguments arguments;
};

struct FilterStmt : Stmt {
  using Stmt::Stmt;
  Flow run(Render& render) const override;
  ExprPtr filter;
  Body body;
};

/// {% with a = 1 %} and {% generation %}: a scope of its own.
struct ScopeStmt : Stmt {
  using Stmt::Stmt;
  Flow run(Render& render) const override;
  std::vector<std::pair<Target, ExprPtr>> values;
  Body body;
};

struct JumpStmt : Stmt {
  JumpStmt(int at, Flow f) : Stmt(at), flow(f) {}
  Flow run(Render&) const override { return flow; }
  Flow flow;
};

}  // namespace moge::text::jinja
