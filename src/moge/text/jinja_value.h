// Values of the template language, with Python's meaning of truth, equality, order and printing.
// Lists and dicts never change once made (transformers renders in an immutable sandbox), so values
// share them freely and no cycle can arise but through a namespace, which Render empties at its
// end.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "moge/text/jinja_budget.h"

namespace moge::text::jinja {

/// Holds every signed or unsigned 64-bit integer, and their sums and products.
using Int = __int128;

class Value;
class Render;

/// Kinds of Python sequence that a template can meet; all hold their items ready made.
enum class SeqKind : uint8_t { kList, kTuple, kGenerator, kKeys, kValues, kItems, kRange };

struct Seq;
struct Dict;
struct Namespace;
struct Loop;
struct Callable;

struct Undefined {
  std::shared_ptr<const std::string> why;  // null: an argument that was left out
  bool operator==(const Undefined&) const { return true; }
};
struct None {};

enum class Kind : uint8_t {
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kSeq,
  kDict,
  kNamespace,
  kLoop,
  kCallable
};

class Value {
 public:
  Value() = default;
  Value(None) : data_(None{}) {}
  Value(bool v) : data_(v) {}
  Value(Int v) : data_(v) {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) Value(T v) : data_(static_cast<Int>(v)) {}
  Value(double v) : data_(v) {}
  Value(std::shared_ptr<const Seq> v) : data_(std::move(v)) {}
  Value(std::shared_ptr<const Dict> v) : data_(std::move(v)) {}
  Value(std::shared_ptr<Namespace> v) : data_(std::move(v)) {}
  Value(std::shared_ptr<const Loop> v) : data_(std::move(v)) {}
  Value(std::shared_ptr<const Callable> v) : data_(std::move(v)) {}
  template <class T>
  Value(T*) = delete;  // else a literal would become a bool

  /// A string that no budget pays for: literals of the template, short names.
  static Value text(std::string s) {
    Value v;
    v.data_ = std::make_shared<const std::string>(std::move(s));
    return v;
  }
  static Value undefined(std::string why) {
    Value v;
    v.data_ = Undefined{std::make_shared<const std::string>(std::move(why))};
    return v;
  }

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is(Kind k) const { return kind() == k; }
  bool is_undefined() const { return is(Kind::kUndefined); }
  bool is_none() const { return is(Kind::kNone); }
  bool is_string() const { return is(Kind::kString); }
  bool is_integer() const { return is(Kind::kInt) || is(Kind::kBool); }
  bool is_number() const { return is_integer() || is(Kind::kFloat); }

  bool boolean() const { return std::get<bool>(data_); }
  Int integer() const { return is(Kind::kBool) ? Int{boolean()} : std::get<Int>(data_); }
  double real() const;  ///< of any number
  const std::string& str() const { return *std::get<StringPtr>(data_); }
  const Seq& seq() const { return *std::get<std::shared_ptr<const Seq>>(data_); }
  const Dict& dict() const { return *std::get<std::shared_ptr<const Dict>>(data_); }
  Namespace& ns() const { return *std::get<std::shared_ptr<Namespace>>(data_); }
  const Loop& loop() const { return *std::get<std::shared_ptr<const Loop>>(data_); }
  const std::shared_ptr<const Callable>& callable() const {
    return std::get<std::shared_ptr<const Callable>>(data_);
  }
  /// Why an undefined value is undefined: "'x' is undefined".
  const std::string& why() const;
  const void* identity() const;  ///< address of what the value shares, null for scalars

 private:
  using StringPtr = std::shared_ptr<const std::string>;
  std::variant<Undefined, None, bool, Int, double, StringPtr, std::shared_ptr<const Seq>,
               std::shared_ptr<const Dict>, std::shared_ptr<Namespace>, std::shared_ptr<const Loop>,
               std::shared_ptr<const Callable>>
      data_;
};

using Values = std::vector<Value>;
using NamedValues = std::vector<std::pair<std::string, Value>>;

struct Seq {
  SeqKind kind = SeqKind::kList;
  Values items;
  int nesting = 1;              // 1 + the deepest container inside
  std::string range;            // how a range prints
  mutable size_t consumed = 0;  // a generator gives each item once

  bool has_length() const { return kind != SeqKind::kGenerator; }
  bool is_sequence() const { return kind <= SeqKind::kTuple || kind == SeqKind::kRange; }
};

struct Dict {
  std::vector<std::pair<Value, Value>> items;  // in order of insertion
  int nesting = 1;

  const Value* find(std::string_view key) const;
  const Value* find(Budget& budget, const Value& key) const;
  void set(Budget& budget, Value key, Value value);

 private:
  size_t position(Budget& budget, const Value& key) const;
  std::unordered_map<std::string_view, size_t> by_name_;  // string keys; views into `items`
};

struct Namespace {
  NamedValues attributes;
  const Value* find(std::string_view name) const;
  void set(std::string_view name, Value value);
};

/// The `loop` variable of one iteration.
struct Loop {
  std::shared_ptr<const Values> items;
  size_t index = 0;
  int nesting = 1;
};

struct Arguments {
  Values positional;
  NamedValues named;
};

/// Something a template can call: a macro, a global function, a method with its object.
struct Callable {
  virtual ~Callable() = default;
  virtual Value call(Render& render, Arguments arguments) const = 0;
  virtual std::string describe() const = 0;
  virtual int nesting() const { return 0; }
};

// Making containers. Each charges the budget and refuses nesting beyond kMaxNesting.
Value make_string(Budget& budget, std::string text);
Value make_seq(Budget& budget, SeqKind kind, Values items);
inline Value make_list(Budget& budget, Values items) {
  return make_seq(budget, SeqKind::kList, std::move(items));
}
Value make_dict(Budget& budget, Dict dict);
int nesting_of(const Value& value);

// Python's view of a value.
bool truthy(const Value& value);
std::string_view type_name(const Value& value);  ///< "str", "NoneType", ...
bool equals(Budget& budget, const Value& a, const Value& b);
/// a < b; fails for types that Python does not order.
bool less(Budget& budget, const Value& a, const Value& b, std::string_view op = "<");
std::string float_repr(double value);
std::string int_repr(Int value);
std::string string_repr(std::string_view text);
std::string to_str(Budget& budget, const Value& value);
std::string repr(Budget& budget, const Value& value);
void check_hashable(Budget& budget, const Value& key);

// Walking. `iterate` takes what is left of a generator.
Values iterate(Budget& budget, const Value& value);
bool is_iterable(const Value& value);
/// len(value), or nothing where Python has no length.
std::optional<int64_t> length_of(const Value& value);
bool contains(Budget& budget, const Value& container, const Value& item);

}  // namespace moge::text::jinja
