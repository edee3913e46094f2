// Recursive descent over expressions, with Jinja's precedence. The statement parser stands on it.
#pragma once

#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "moge/core/error.h"
#include "moge/text/jinja_ast.h"
#include "moge/text/jinja_lexer.h"

namespace moge::text::jinja {

class ExprParser {
 public:
  explicit ExprParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

 protected:
  const Token& current() const { return tokens_[at_]; }
  const Token& look() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  const Token& advance();
  bool skip_op(std::string_view op);
  bool skip_name(std::string_view name);
  void expect_op(std::string_view op);
  std::string expect_name(std::string_view what);
  [[noreturn]] void refuse(int line, std::string_view sentence) const;
  [[noreturn]] void unexpected(std::string_view want) const;

  ExprPtr parse_expression();
  ExprPtr parse_or();
  /// a, b, c as a tuple, or the one expression. Conditional expressions only where asked.
  ExprPtr parse_tuple(bool conditional, bool in_parentheses);
  ExprPtr parse_filters(ExprPtr subject, bool first_has_pipe);
  CallArguments parse_arguments();
  ExprPtr parse_call();

  /// Counts one level of recursion for its life.
  struct Nest {
    explicit Nest(ExprParser& parser);
    ~Nest() { --parser.depth_; }
    ExprParser& parser;
  };

  /// Throws for a call of something that nothing can have defined.
  void check_calls() const;

  std::set<std::string, std::less<>> assigned_;    // names that the template defines somewhere
  std::set<std::string, std::less<>> attributes_;  // of namespaces, and keys of dict literals
  std::vector<MacroCode*> macros_;                 // being parsed, outermost first

 private:
  struct Called {
    std::string name;
    int line;
  };

  ExprPtr parse_and();
  ExprPtr parse_not();
  ExprPtr parse_compare();
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  ExprPtr parse_power();
  ExprPtr parse_unary(bool with_filters);
  ExprPtr parse_primary();
  ExprPtr parse_name();
  ExprPtr parse_list();
  ExprPtr parse_dict();
  ExprPtr parse_postfix(ExprPtr object);
  ExprPtr parse_suffixes(ExprPtr subject);
  ExprPtr parse_attribute(ExprPtr object);
  ExprPtr parse_subscript(ExprPtr object);
  ExprPtr parse_slice_or_index(ExprPtr object, int line);
  ExprPtr parse_test(ExprPtr subject);
  ExprPtr finish_call(ExprPtr callee);
  void note_names(const CallExpr& call);
  void check_variadic(const FilterExpr& filter) const;
  void check_builtin(int line, std::string_view what, std::string_view name,
                     std::string_view parameters, int required,
                     const CallArguments& arguments) const;

  template <class Parse>
  ExprPtr left_to_right(std::initializer_list<std::string_view> ops, Parse parse);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  std::vector<Called> called_names_, called_attributes_;
};

}  // namespace moge::text::jinja
