// Python functions of one or two numbers.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "moge/data/python_parts.h"

namespace moge::data {

namespace {

void write_change(std::string& out, Rng& rng) {
  static constexpr std::string_view kNames[] = {"change",     "compute", "apply",
                                                "next_value", "step",    "convert"};
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
  Function f(rng, "is_" + condition.name(), x);
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

// Families with many variants stand more than once.
constexpr PythonWriter kWriters[] = {write_change,   write_change, write_check,     write_check,
                                     write_clamp,    write_grade,  write_factorial, write_fibonacci,
                                     write_gcd,      write_power,  write_larger,    write_digit_sum,
                                     write_multiples};

}  // namespace

std::span<const PythonWriter> number_writers() { return kWriters; }

}  // namespace moge::data
