#include "moge/data/python_parts.h"

#include <fmt/core.h>

#include <algorithm>

namespace moge::data {

namespace {

constexpr std::string_view kWordList[] = {
    "apple", "banana", "lemon",  "river", "stone",  "garden", "window", "orange", "paper",
    "music", "summer", "winter", "cloud", "table",  "bread",  "letter", "sugar",  "silver",
    "green", "yellow", "mouse",  "horse", "rabbit", "tiger",  "moon",   "planet", "ocean",
    "level", "noon",   "radar",  "kayak", "hello",  "world",  "python", "school", "tree"};
template <class T>
std::string show_list(const std::vector<T>& list) {
  std::string text = "[";
  for (const auto& item : list) text += (text.size() > 1 ? ", " : "") + show(item);
  return text + "]";
}

}  // namespace

std::string show(int64_t value) { return std::to_string(value); }
std::string show(bool value) { return value ? "True" : "False"; }
std::string show(std::string_view text) { return "'" + std::string(text) + "'"; }
std::string show(const Ints& list) { return show_list(list); }
std::string show(const Words& list) { return show_list(list); }

Ints draw_list(Rng& rng, int min_size, int max_size, int low, int high) {
  Ints list(static_cast<size_t>(draw_between(rng, min_size, max_size)));
  for (auto& x : list) x = draw_between(rng, low, high);
  return list;
}

std::string_view draw_word(Rng& rng) { return pick(rng, kWordList); }

Words draw_words(Rng& rng, int min_size, int max_size) {
  Words words(static_cast<size_t>(draw_between(rng, min_size, max_size)));
  for (auto& word : words) word = draw_word(rng);
  return words;
}

Function::Function(Rng& rng, std::string_view name, std::string_view parameters) : fill(rng) {
  fill.set("f", name);
  fill.set("args", parameters);
}

void Function::example(const std::string& arguments, const std::string& result) {
  fill.set("call", arguments);
  fill.set("result", result);
  std::string text;
  fill.append_verbatim(text, "    >>> {f}({call})\n    {result}\n");
  if (examples != text) examples += text;
}

void Function::write(std::string& out, std::string_view doc, std::string_view body) {
  fill.append_verbatim(out, "def {f}({args}):\n    \"\"\"");
  fill.append_verbatim(out, doc);
  out += "\n\n" + examples + "    \"\"\"\n";
  fill.append_verbatim(out, body);
}

bool Condition::holds(int64_t x) const {
  switch (kind) {
    case kDivisible:
      return x % limit == 0;
    case kOdd:
      return x % 2 == 1;
    case kAbove:
      return x > limit;
    case kBelow:
      return x < limit;
  }
  return false;
}

std::string Condition::name() const {
  std::string name = words;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

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

}  // namespace moge::data
