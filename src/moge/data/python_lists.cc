// Python functions of lists of numbers.
#include <algorithm>
#include <iterator>
#include <numeric>

#include "moge/data/python_parts.h"

namespace moge::data {

namespace {

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
  static constexpr std::string_view kUpdates[] = {"result += 1", "result += x", "result.append(x)"};
  const auto verb = rng.below(3);
  const auto xs = pick(rng, kListNames);
  const Condition condition = draw_condition(rng, "x");
  Function f(rng, std::string(kVerbs[verb]) + "_" + condition.name(), xs);
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

// Families with many variants stand more than once.
constexpr PythonWriter kWriters[] = {
    write_total,   write_selection,     write_selection, write_selection, write_map,      write_map,
    write_extreme, write_running_total, write_unique,    write_pairwise,  write_is_sorted};

}  // namespace

std::span<const PythonWriter> list_writers() { return kWriters; }

}  // namespace moge::data
