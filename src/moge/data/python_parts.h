// The parts from which the corpus' Python functions are put together.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "moge/data/template.h"

namespace moge::data {

using Ints = std::vector<int64_t>;
using Words = std::vector<std::string_view>;

/// Values in Python's spelling.
std::string show(int64_t value);
std::string show(bool value);
std::string show(std::string_view text);
std::string show(const Ints& list);
std::string show(const Words& list);

Ints draw_list(Rng& rng, int min_size, int max_size, int low, int high);
std::string_view draw_word(Rng& rng);
Words draw_words(Rng& rng, int min_size, int max_size);

/// Names of parameters.
inline constexpr std::string_view kListNames[] = {"numbers", "values", "items", "data", "xs"};
inline constexpr std::string_view kIntNames[] = {"n", "x", "number", "value", "k"};
inline constexpr std::string_view kTextNames[] = {"text", "word", "s", "name"};

/// A function under way: `f` its name, `args` its parameters, as slots of `fill`.
struct Function {
  Filler fill;
  std::string examples;

  Function(Rng& rng, std::string_view name, std::string_view parameters);
  Rng& rng() { return fill.rng(); }

  void example(const std::string& arguments, const std::string& result);
  /// `doc` is one sentence; the lines of `body` come indented.
  void write(std::string& out, std::string_view doc, std::string_view body);
};

/// One example for most functions, two for some.
template <class Make>
void add_examples(Function& f, Make make) {
  make();
  if (f.rng().below(3) == 0) make();
}

/// A condition on one number, in words, in Python and here.
struct Condition {
  enum Kind { kDivisible, kOdd, kAbove, kBelow };
  std::string words, code;  // "even", "x % 2 == 0"
  Kind kind = kOdd;
  int64_t limit = 0;

  bool holds(int64_t x) const;
  std::string name() const;  ///< "divisible_by_3"
};
Condition draw_condition(Rng& rng, std::string_view x);

/// A change of one number, in words (with the slot x), in Python and here.
struct Change {
  std::string words, code;
  int64_t factor = 1, offset = 0;
  bool square = false;

  int64_t apply(int64_t x) const { return square ? x * x : factor * x + offset; }
};
Change draw_change(Rng& rng, std::string_view x);

/// The families of functions, by what they take.
using PythonWriter = void (*)(std::string&, Rng&);
std::span<const PythonWriter> number_writers();
std::span<const PythonWriter> list_writers();
std::span<const PythonWriter> text_writers();

}  // namespace moge::data
