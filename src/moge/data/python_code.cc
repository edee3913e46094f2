#include "moge/data/python_code.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <string_view>
#include <vector>

#include "moge/data/template.h"

namespace moge::data {

namespace {

using Ints = std::vector<int64_t>;
using Words = std::vector<std::string_view>;

// ---- Values in Python's spelling.

std::string show(int64_t value) { return std::to_string(value); }
std::string show(bool value) { return value ? "True" : "False"; }
std::string show(std::string_view text) { return "'" + std::string(text) + "'"; }
template <class T>
std::string show(const std::vector<T>& list) {
  std::string text = "[";
  for (const auto& item : list) text += (text.size() > 1 ? ", " : "") + show(item);
  return text + "]";
}

Ints draw_list(Rng& rng, int min_size, int max_size, int low, int high) {
  Ints list(static_cast<size_t>(draw_between(rng, min_size, max_size)));
  for (auto& x : list) x = draw_between(rng, low, high);
  return list;
}

constexpr std::string_view kWordList[] = {
    "apple", "banana", "lemon",  "river", "stone",  "garden", "window", "orange", "paper",
    "music", "summer", "winter", "cloud", "table",  "bread",  "letter", "sugar",  "silver",
    "green", "yellow", "mouse",  "horse", "rabbit", "tiger",  "moon",   "planet", "ocean",
    "level", "noon",   "radar",  "kayak", "hello",  "world",  "python", "school", "tree"};
constexpr std::string_view kListNames[] = {"numbers", "values", "items", "data", "xs"};
constexpr std::string_view kIntNames[] = {"n", "x", "number", "value", "k"};
constexpr std::string_view kTextNames[] = {"text", "word", "s", "name"};

Words draw_words(Rng& rng, int min_size, int max_size) {
  Words words(static_cast<size_t>(draw_between(rng, min_size, max_size)));
  for (auto& word : words) word = pick(rng, kWordList);
  return words;
}

// ---- The frame of a function: name, docstring, examples, body.

/// A function under way: `f` its name, `args` its parameters, as slots of `fill`.
struct Function {
  Filler fill;
  std::string examples;

  Function(Rng& rng, std::string_view name, std::string_view parameters) : fill(rng) {
    fill.set("f", name);
    fill.set("args", parameters);
  }
  Rng& rng() { return fill.rng(); }

  void example(const std::string& arguments, const std::string& result) {
    fill.set("call", arguments);
    fill.set("result", result);
    fill.append_verbatim(examples, "    >>> {f}({call})\n    {result}\n");
  }
  /// `body` lines come indented; `doc` is one sentence.
  void write(std::string& out, std::string_view doc, std::string_view body) {
    fill.append_verbatim(out, "def {f}({args}):\n    \"\"\"");
    fill.append_verbatim(out, doc);
    out += "\n\n" + examples + "    \"\"\"\n";
    fill.append_verbatim(out, body);
  }
};

/// One example for most functions, two for some.
template <class Make>
void add_examples(Function& f, Make make) {
  make();
  if (f.rng().below(3) == 0) make();
}

/// A condition on one number, in words, in Python and here.
struct Condition {
  std::string words, code;  // "even", "{x} % 2 == 0" with x already filled in
  enum { kDivisible, kOdd, kAbove, kBelow } kind = kOdd;
  int64_t limit = 0;
  bool holds(int64_t x) const {
    return kind == kDivisible ? x % limit == 0
           : kind == kOdd     ? x % 2 == 1
           : kind == kAbove   ? x > limit
                              : x < limit;
  }
};

Condition draw_condition(Rng& rng, std::string_view x) {
  const int64_t limit = draw_between(rng, 3, 9);
  switch (rng.below(5)) {
    case 0:
      return {"even", fmt::format("{} % 2 == 0", x), Condition::kDivisible, 2};
    case 1:
      return {"odd", fmt::format("{} % 2 == 1", x), Condition::kOdd, 2};
    case 2:
      return {fmt::format("divisible by {}", limit), fmt::format("{} % {} == 0", x, limit),
              Condition::kDivisible, limit};
    case 3:
      return {fmt::format("greater than {}", limit), fmt::format("{} > {}", x, limit),
              Condition::kAbove, limit};
    default:
      return {fmt::format("less than {}", limit), fmt::format("{} < {}", x, limit),
              Condition::kBelow, limit};
  }
}

/// A change of one number, in words, in Python and here.
struct Change {
  std::string words, code;
  int64_t factor = 1, offset = 0;
  bool square = false;
  int64_t apply(int64_t x) const { return square ? x * x : factor * x + offset; }
};

Change draw_change(Rng& rng, std::string_view x) {
  const int64_t a = draw_between(rng, 2, 9), b = draw_between(rng, 1, 9);
  switch (rng.below(4)) {
    case 0:
      return {fmt::format("{} times {{x}}", a), fmt::format("{} * {}", a, x), a, 0};
    case 1:
      return {fmt::format("{{x}} plus {}", b), fmt::format("{} + {}", x, b), 1, b};
    case 2:
      return {fmt::format("{} times {{x}} plus {}", a, b), fmt::format("{} * {} + {}", a, x, b), a,
              b};
    default:
      return {"the square of {x}", fmt::format("{0} * {0}", x), 1, 0, true};
  }
}

std::string name_of(const Condition& c) {
  std::string name = c.words;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

// ---- Functions of one or two numbers.

void write_change(std::string& out, Rng& rng) {
  static constexpr std::string_view kNames[] = {"change", "compute", "apply", "next_value",
                                                "step", "convert"};
  const auto x = pick(rng, kIntNames);
  const Change change = draw_change(rng, x);
  Function f(rng, pick(rng, kNames), x);
  f.fill.set("x", x);
  add_examples(f, [&] {
    const int64_t value = draw_between(rng, 0, 12);
    f.example(show(value), show(change.apply(value)));
  });
  f.fill.set("code", change.code);
  f.write(out, "Return " + change.words + ".",
          rng.below(2) ? "    return {code}\n" : "    result = {code}\n    return result\n");
}

void write_check(std::string& out, Rng& rng) {
  const auto x = pick(rng, kIntNames);
  const Condition condition = draw_condition(rng, x);
  Function f(rng, "is_" + name_of(condition), x);
  add_examples(f, [&] {
    const int64_t value = draw_between(rng, 0, 30);
    f.example(show(value), show(condition.holds(value)));
  });
  f.fill.set("x", x);
  f.fill.set("words", condition.words);
  f.fill.set("code", condition.code);
  f.write(out, "Return True if {x} is {words}.",
          rng.below(2) ? "    return {code}\n"
                       : "    if {code}:\n        return True\n    return False\n");
}

void write_clamp(std::string& out, Rng& rng) {
  Function f(rng, rng.below(2) ? "clamp" : "limit", "x, low, high");
  add_examples(f, [&] {
    const int64_t low = draw_between(rng, 0, 9), high = low + draw_between(rng, 1, 20);
    const int64_t x = draw_between(rng, 0, 40);
    f.example(fmt::format("{}, {}, {}", x, low, high), show(std::clamp(x, low, high)));
  });
  f.write(out, "Return x, but at least low and at most high.",
          rng.below(2) ? "    return max(low, min(x, high))\n"
                       : "    if x < low:\n        return low\n    if x > high:\n"
                         "        return high\n    return x\n");
}

void write_factorial(std::string& out, Rng& rng) {
  const bool sum = rng.below(2);
  Function f(rng, sum ? "sum_up_to" : "factorial", "n");
  add_examples(f, [&] {
    const int64_t n = draw_between(rng, 1, sum ? 12 : 7);
    int64_t result = sum ? 0 : 1;
    for (int64_t i = 1; i <= n; ++i) result = sum ? result + i : result * i;
    f.example(show(n), show(result));
  });
  f.fill.set("op", sum ? "+" : "*");
  f.fill.set("start", sum ? "0" : "1");
  f.fill.set("what", sum ? "sum" : "product");
  f.write(out, "Return the {what} of the numbers from 1 to n.",
          rng.below(2) ? "    result = {start}\n    for i in range(1, n + 1):\n"
                         "        result = result {op} i\n    return result\n"
                       : "    if n == 0:\n        return {start}\n    return n {op} {f}(n - 1)\n");
}

void write_fibonacci(std::string& out, Rng& rng) {
  Function f(rng, rng.below(2) ? "fibonacci" : "fib", "n");
  add_examples(f, [&] {
    const int n = draw_between(rng, 2, 12);
    int64_t a = 0, b = 1;
    for (int i = 0; i < n; ++i) b = std::exchange(a, b) + b;
    f.example(show(static_cast<int64_t>(n)), show(a));
  });
  f.write(out, "Return the Fibonacci number with index n.",
          rng.below(2)
              ? "    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n"
              : "    if n < 2:\n        return n\n    return {f}(n - 1) + {f}(n - 2)\n");
}

void write_gcd(std::string& out, Rng& rng) {
  Function f(rng, rng.below(2) ? "gcd" : "common_divisor", "a, b");
  add_examples(f, [&] {
    const int64_t d = draw_between(rng, 2, 9);
    const int64_t a = d * draw_between(rng, 1, 9), b = d * draw_between(rng, 1, 9);
    f.example(fmt::format("{}, {}", a, b), show(std::gcd(a, b)));
  });
  f.write(out, "Return the greatest common divisor of a and b.",
          rng.below(2) ? "    while b:\n        a, b = b, a % b\n    return a\n"
                       : "    if b == 0:\n        return a\n    return {f}(b, a % b)\n");
}

void write_power(std::string& out, Rng& rng) {
  Function f(rng, rng.below(2) ? "power" : "raise_to", "base, exponent");
  add_examples(f, [&] {
    const int64_t base = draw_between(rng, 2, 5), exponent = draw_between(rng, 0, 4);
    int64_t result = 1;
    for (int64_t i = 0; i < exponent; ++i) result *= base;
    f.example(fmt::format("{}, {}", base, exponent), show(result));
  });
  f.write(out, "Return base multiplied by itself exponent times.",
          rng.below(2) ? "    return base ** exponent\n"
                       : "    result = 1\n    for _ in range(exponent):\n"
                         "        result *= base\n    return result\n");
}

void write_digit_sum(std::string& out, Rng& rng) {
  Function f(rng, rng.below(2) ? "digit_sum" : "sum_of_digits", "n");
  add_examples(f, [&] {
    const int64_t n = draw_between(rng, 10, 999);
    f.example(show(n), show(n / 100 + n / 10 % 10 + n % 10));
  });
  f.write(out, "Return the sum of the digits of n.",
          rng.below(2) ? "    return sum(int(digit) for digit in str(n))\n"
                       : "    total = 0\n    while n > 0:\n        total += n % 10\n"
                         "        n = n // 10\n    return total\n");
}

void write_larger(std::string& out, Rng& rng) {
  const bool larger = rng.below(2);
  Function f(rng, larger ? "larger" : "smaller", "a, b");
  add_examples(f, [&] {
    const int64_t a = draw_between(rng, 0, 50), b = draw_between(rng, 0, 50);
    f.example(fmt::format("{}, {}", a, b), show(larger ? std::max(a, b) : std::min(a, b)));
  });
  f.fill.set("op", larger ? ">" : "<");
  f.fill.set("built_in", larger ? "max" : "min");
  f.write(out, "Return the {f} one of a and b.",
          rng.below(2) ? "    return {built_in}(a, b)\n"
                       : "    if a {op} b:\n        return a\n    return b\n");
}

void write_grade(std::string& out, Rng& rng) {
  static constexpr std::array<std::string_view, 2> kPairs[] = {
      {"big", "small"}, {"high", "low"}, {"hot", "cold"}, {"late", "early"}, {"heavy", "light"}};
  const auto& pair = pick(rng, kPairs);
  const int64_t limit = draw_between(rng, 2, 30);
  Function f(rng, fmt::format("{}_or_{}", pair[0], pair[1]), "value");
  add_examples(f, [&] {
    const int64_t value = draw_between(rng, 0, 40);
    f.example(show(value), show(value >= limit ? pair[0] : pair[1]));
  });
  f.fill.set("yes", pair[0]);
  f.fill.set("no", pair[1]);
  f.fill.set("limit", limit);
  f.write(out, "Return '{yes}' if value is at least {limit}, else '{no}'.",
          rng.below(2) ? "    return '{yes}' if value >= {limit} else '{no}'\n"
                       : "    if value >= {limit}:\n        return '{yes}'\n    return '{no}'\n");
}

// ---- Functions of a list of numbers.

void write_total(std::string& out, Rng& rng) {
  static constexpr std::string_view kNames[] = {"total", "add_up", "sum_of", "sum_list"};
  const auto xs = pick(rng, kListNames);
  Function f(rng, pick(rng, kNames), xs);
  add_examples(f, [&] {
    const Ints list = draw_list(rng, 2, 5, 0, 20);
    f.example(show(list), show(std::accumulate(list.begin(), list.end(), int64_t{0})));
  });
  f.fill.set("xs", xs);
  f.write(out, "Return the sum of all {xs}.",
          rng.below(2) ? "    return sum({xs})\n"
                       : "    result = 0\n    for x in {xs}:\n        result += x\n"
                         "    return result\n");
}

/// Counts, adds up or keeps the numbers of a list for which a condition holds.
void write_selection(std::string& out, Rng& rng) {
  static constexpr std::string_view kVerbs[] = {"count", "sum", "keep"};
  static constexpr std::string_view kDocs[] = {"Return how many of the {xs} are {words}.",
                                               "Return the sum of the {xs} that are {words}.",
                                               "Return the {xs} that are {words}."};
  static constexpr std::string_view kShort[] = {"    return sum(1 for x in {xs} if {code})\n",
                                                "    return sum(x for x in {xs} if {code})\n",
                                                "    return [x for x in {xs} if {code}]\n"};
  static constexpr std::string_view kStarts[] = {"0", "0", "[]"};
  static constexpr std::string_view kUpdates[] = {"result += 1", "result += x",
                                                  "result.append(x)"};
  const auto verb = rng.below(3);
  const auto xs = pick(rng, kListNames);
  const Condition condition = draw_condition(rng, "x");
  Function f(rng, std::string(kVerbs[verb]) + "_" + name_of(condition), xs);
  add_examples(f, [&] {
    const Ints list = draw_list(rng, 3, 6, 0, 20);
    Ints kept;
    std::copy_if(list.begin(), list.end(), std::back_inserter(kept),
                 [&](int64_t x) { return condition.holds(x); });
    f.example(show(list), verb == 0   ? show(static_cast<int64_t>(kept.size()))
                          : verb == 1 ? show(std::accumulate(kept.begin(), kept.end(), int64_t{0}))
                                      : show(kept));
  });
  f.fill.set("xs", xs);
  f.fill.set("words", condition.words);
  f.fill.set("code", condition.code);
  f.fill.set("start", kStarts[verb]);
  f.fill.set("update", kUpdates[verb]);
  f.write(out, kDocs[verb],
          rng.below(2) ? kShort[verb]
                       : "    result = {start}\n    for x in {xs}:\n        if {code}:\n"
                         "            {update}\n    return result\n");
}

void write_map(std::string& out, Rng& rng) {
  static constexpr std::string_view kNames[] = {"change_all", "map_list", "update_all", "convert"};
  const auto xs = pick(rng, kListNames);
  const Change change = draw_change(rng, "x");
  Function f(rng, pick(rng, kNames), xs);
  add_examples(f, [&] {
    Ints list = draw_list(rng, 2, 5, 0, 12);
    const std::string before = show(list);
    for (auto& x : list) x = change.apply(x);
    f.example(before, show(list));
  });
  f.fill.set("xs", xs);
  f.fill.set("x", "x");
  f.fill.set("code", change.code);
  f.write(out, "Return a list with " + change.words + " for each x in {xs}.",
          rng.below(2) ? "    return [{code} for x in {xs}]\n"
                       : "    result = []\n    for x in {xs}:\n        result.append({code})\n"
                         "    return result\n");
}

void write_extreme(std::string& out, Rng& rng) {
  const bool largest = rng.below(2);
  const auto xs = pick(rng, kListNames);
  Function f(rng, largest ? "largest" : "smallest", xs);
  add_examples(f, [&] {
    const Ints list = draw_list(rng, 3, 6, 0, 60);
    f.example(show(list), show(largest ? *std::max_element(list.begin(), list.end())
                                       : *std::min_element(list.begin(), list.end())));
  });
  f.fill.set("xs", xs);
  f.fill.set("op", largest ? ">" : "<");
  f.fill.set("built_in", largest ? "max" : "min");
  f.write(out, "Return the {f} of the {xs}.",
          rng.below(2) ? "    return {built_in}({xs})\n"
                       : "    best = {xs}[0]\n    for x in {xs}:\n        if x {op} best:\n"
                         "            best = x\n    return best\n");
}

void write_running_total(std::string& out, Rng& rng) {
  const auto xs = pick(rng, kListNames);
  Function f(rng, rng.below(2) ? "running_total" : "running_sums", xs);
  add_examples(f, [&] {
    const Ints list = draw_list(rng, 2, 5, 0, 12);
    Ints sums(list.size());
    std::partial_sum(list.begin(), list.end(), sums.begin());
    f.example(show(list), show(sums));
  });
  f.fill.set("xs", xs);
  f.write(out, "Return the sums of the first 1, 2, 3 and so on of the {xs}.",
          "    sums = []\n    total = 0\n    for x in {xs}:\n        total += x\n"
          "        sums.append(total)\n    return sums\n");
}

void write_pairwise(std::string& out, Rng& rng) {
  const bool add = rng.below(2);
  Function f(rng, add ? "add_lists" : "multiply_lists", "a, b");
  add_examples(f, [&] {
    const Ints a = draw_list(rng, 2, 4, 0, 12);
    Ints b = draw_list(rng, static_cast<int>(a.size()), static_cast<int>(a.size()), 0, 12), c = b;
    for (size_t i = 0; i < a.size(); ++i) c[i] = add ? a[i] + b[i] : a[i] * b[i];
    f.example(show(a) + ", " + show(b), show(c));
  });
  f.fill.set("op", add ? "+" : "*");
  f.fill.set("what", add ? "sums" : "products");
  f.write(out, "Return the {what} of the pairs of a and b.",
          rng.below(2) ? "    return [x {op} y for x, y in zip(a, b)]\n"
                       : "    result = []\n    for i in range(len(a)):\n"
                         "        result.append(a[i] {op} b[i])\n    return result\n");
}

void write_is_sorted(std::string& out, Rng& rng) {
  const auto xs = pick(rng, kListNames);
  Function f(rng, rng.below(2) ? "is_sorted" : "in_order", xs);
  add_examples(f, [&] {
    Ints list = draw_list(rng, 2, 5, 0, 20);
    if (rng.below(2)) std::sort(list.begin(), list.end());
    f.example(show(list), show(std::is_sorted(list.begin(), list.end())));
  });
  f.fill.set("xs", xs);
  f.write(out, "Return True if no number of {xs} is smaller than the one before it.",
          rng.below(2) ? "    return {xs} == sorted({xs})\n"
                       : "    for i in range(1, len({xs})):\n"
                         "        if {xs}[i] < {xs}[i - 1]:\n            return False\n"
                         "    return True\n");
}

void write_unique(std::string& out, Rng& rng) {
  const auto xs = pick(rng, kListNames);
  Function f(rng, rng.below(2) ? "unique" : "remove_repeats", xs);
  add_examples(f, [&] {
    const Ints list = draw_list(rng, 3, 6, 1, 5);
    Ints seen;
    for (int64_t x : list)
      if (std::find(seen.begin(), seen.end(), x) == seen.end()) seen.push_back(x);
    f.example(show(list), show(seen));
  });
  f.fill.set("xs", xs);
  f.write(out, "Return the {xs} without repeats, in their first order.",
          "    seen = []\n    for x in {xs}:\n        if x not in seen:\n"
          "            seen.append(x)\n    return seen\n");
}

void write_multiples(std::string& out, Rng& rng) {
  const int64_t step = draw_between(rng, 2, 9);
  Function f(rng, fmt::format("multiples_of_{}", step), "count");
  add_examples(f, [&] {
    Ints list(static_cast<size_t>(draw_between(rng, 1, 6)));
    for (size_t i = 0; i < list.size(); ++i) list[i] = step * static_cast<int64_t>(i + 1);
    f.example(show(static_cast<int64_t>(list.size())), show(list));
  });
  f.fill.set("step", step);
  f.write(out, "Return the first count multiples of {step}.",
          rng.below(2) ? "    return [{step} * i for i in range(1, count + 1)]\n"
                       : "    result = []\n    for i in range(1, count + 1):\n"
                         "        result.append({step} * i)\n    return result\n");
}

// ---- Functions of text.

void write_reverse(std::string& out, Rng& rng) {
  const auto s = pick(rng, kTextNames);
  const bool palindrome = rng.below(2);
  Function f(rng, palindrome ? "is_palindrome" : "reverse", s);
  add_examples(f, [&] {
    const auto word = pick(rng, kWordList);
    const std::string back(word.rbegin(), word.rend());
    f.example(show(word), palindrome ? show(back == word) : show(std::string_view(back)));
  });
  f.fill.set("s", s);
  if (palindrome)
    f.write(out, "Return True if {s} reads the same backwards.", "    return {s} == {s}[::-1]\n");
  else
    f.write(out, "Return {s} with its letters in reverse order.",
            rng.below(2) ? "    return {s}[::-1]\n"
                         : "    result = ''\n    for letter in {s}:\n"
                           "        result = letter + result\n    return result\n");
}

void write_count_letters(std::string& out, Rng& rng) {
  const auto s = pick(rng, kTextNames);
  static constexpr std::string_view kSets[][2] = {
      {"aeiou", "vowels"}, {"e", "letters e"}, {"a", "letters a"}, {"lr", "letters l and r"}};
  const auto& set = pick(rng, kSets);
  Function f(rng, set[0].size() == 5 ? "count_vowels" : "count_letters", s);
  add_examples(f, [&] {
    const auto word = pick(rng, kWordList);
    f.example(show(word), show(static_cast<int64_t>(std::count_if(
                              word.begin(), word.end(),
                              [&](char c) { return set[0].find(c) != std::string_view::npos; }))));
  });
  f.fill.set("s", s);
  f.fill.set("set", set[0]);
  f.fill.set("what", set[1]);
  f.write(out, "Return how many {what} are in {s}.",
          rng.below(2) ? "    return sum(1 for letter in {s} if letter in '{set}')\n"
                       : "    count = 0\n    for letter in {s}:\n"
                         "        if letter in '{set}':\n            count += 1\n"
                         "    return count\n");
}

void write_repeat(std::string& out, Rng& rng) {
  const auto s = pick(rng, kTextNames);
  static constexpr std::string_view kMarks[] = {"-", "+", " ", "."};
  const auto mark = pick(rng, kMarks);
  Function f(rng, rng.below(2) ? "repeat" : "say_again", fmt::format("{}, times", s));
  add_examples(f, [&] {
    const auto word = pick(rng, kWordList);
    const int times = draw_between(rng, 1, 4);
    std::string text(word);
    for (int i = 1; i < times; ++i) text += std::string(mark) + std::string(word);
    f.example(fmt::format("'{}', {}", word, times), show(std::string_view(text)));
  });
  f.fill.set("s", s);
  f.fill.set("mark", mark);
  f.write(out, "Return {s} several times, with '{mark}' between.",
          "    return '{mark}'.join([{s}] * times)\n");
}

void write_word_choice(std::string& out, Rng& rng) {
  const bool longest = rng.below(2);
  Function f(rng, longest ? "longest_word" : "shortest_word", "words");
  add_examples(f, [&] {
    const Words words = draw_words(rng, 2, 4);
    const auto by_length = [](auto a, auto b) { return a.size() < b.size(); };
    f.example(show(words),
              show(longest ? *std::max_element(words.begin(), words.end(), by_length)
                           : *std::min_element(words.begin(), words.end(), by_length)));
  });
  f.fill.set("op", longest ? ">" : "<");
  f.fill.set("built_in", longest ? "max" : "min");
  f.fill.set("what", longest ? "longest" : "shortest");
  f.write(out, "Return the first of the {what} words.",
          rng.below(2) ? "    return {built_in}(words, key=len)\n"
                       : "    best = words[0]\n    for word in words:\n"
                         "        if len(word) {op} len(best):\n            best = word\n"
                         "    return best\n");
}

void write_lengths(std::string& out, Rng& rng) {
  const bool initials = rng.below(2);
  Function f(rng, initials ? "first_letters" : "word_lengths", "words");
  add_examples(f, [&] {
    const Words words = draw_words(rng, 2, 4);
    std::string letters;
    Ints lengths;
    for (auto word : words) {
      letters += word[0];
      lengths.push_back(static_cast<int64_t>(word.size()));
    }
    f.example(show(words), initials ? show(std::string_view(letters)) : show(lengths));
  });
  if (initials)
    f.write(out, "Return the first letters of the words as one text.",
            rng.below(2) ? "    return ''.join(word[0] for word in words)\n"
                         : "    result = ''\n    for word in words:\n"
                           "        result += word[0]\n    return result\n");
  else
    f.write(out, "Return the number of letters of each word.",
            rng.below(2) ? "    return [len(word) for word in words]\n"
                         : "    result = []\n    for word in words:\n"
                           "        result.append(len(word))\n    return result\n");
}

void write_count_words(std::string& out, Rng& rng) {
  Function f(rng, rng.below(2) ? "count_words" : "number_of_words", "text");
  add_examples(f, [&] {
    const Words words = draw_words(rng, 1, 5);
    std::string text;
    for (auto word : words) text += (text.empty() ? "" : " ") + std::string(word);
    f.example(show(std::string_view(text)), show(static_cast<int64_t>(words.size())));
  });
  f.write(out, "Return how many words are in text.", "    return len(text.split())\n");
}

using Writer = void (*)(std::string&, Rng&);
// Families with many variants stand more than once.
constexpr Writer kWriters[] = {
    write_change,  write_change,    write_check,         write_check,     write_clamp,
    write_grade,   write_factorial, write_fibonacci,     write_gcd,       write_power,
    write_larger,  write_digit_sum, write_total,         write_selection, write_selection,
    write_map,     write_map,       write_selection,     write_extreme,   write_running_total,
    write_unique,  write_pairwise,  write_is_sorted,     write_multiples, write_reverse,
    write_repeat,  write_lengths,   write_count_letters, write_word_choice, write_count_words};

}  // namespace

void append_python_function(std::string& out, Rng& rng) { pick(rng, kWriters)(out, rng); }

}  // namespace moge::data
