#include "moge/data/arithmetic.h"

#include <array>
#include <string_view>

#include "moge/core/error.h"
#include "moge/data/template.h"
#include "moge/data/words.h"

namespace moge::data {

namespace {

/// What is computed from the numbers a, b, c of a question.
enum class Shape {
  kSum,                // a + b
  kDifference,         // a - b
  kProduct,            // a x b
  kSumDifference,      // a + b, then - c
  kDifferenceSum,      // a - b, then + c
  kSumSum,             // a + b, then + c
  kProductSum,         // a x b, then + c
  kProductDifference,  // a x b, then - c
  kBothMore,           // a + b, then a + that
  kBothFewer,          // a - b, then a + that
  kChange,             // a x b, then c - that
};

struct Form {
  Shape shape;
  std::string_view question;
  std::string_view answer;  // {s1}, {s2}: the steps spelled out
};

// Slots: n and m two names, he of n, t a thing, ts its plural, unit of time, a b c the numbers.
constexpr std::string_view kUnits[] = {"day", "hour", "week", "month"};
constexpr Form kSums[] = {
    {Shape::kSum,
     "{n} has {a} {ts}. {^he} <finds|buys|gets> {b} more. How many {ts} does {n} have now?",
     "{n} now has {s1} {ts}."},
    {Shape::kSum, "{n} has {a} {ts} and {m} has {b} {ts}. How many {ts} do they have together?",
     "Together they have {s1} {ts}."},
    {Shape::kSum,
     "There are {a} <red|small|old> {ts} and {b} <blue|big|new> {ts} in {n}'s <box|bag|room>. How "
     "many {ts} are there in all?",
     "There are {s1} {ts} in all."},
    {Shape::kSum,
     "{n} <counts|sells|packs> {a} {ts} in the morning and {b} in the evening. How many {ts} is "
     "that in one day?",
     "In one day that is {s1} {ts}."},
};
constexpr Form kDifferences[] = {
    {Shape::kDifference,
     "{n} has {a} {ts}. {^he} <gives|sends|sells> {b} of them to {m}. How many {ts} does {n} have "
     "left?",
     "{n} has {s1} {ts} left."},
    {Shape::kDifference,
     "{n} has {a} {ts} and {m} has {b}. How many more {ts} does {n} have than {m}?",
     "{n} has {s1} more {ts} than {m}."},
    {Shape::kDifference,
     "{n} needs {a} {ts} <for a party|for school|for the shop>. {^he} has {b} already. How many "
     "more {ts} does {he} need?",
     "{n} needs {s1} more {ts}."},
    {Shape::kDifference,
     "There were {a} {ts} in {n}'s <box|bag|room>. Then {b} got <lost|wet|broken>. How many good "
     "{ts} are left?",
     "There are {s1} good {ts} left."},
};
constexpr Form kProducts[] = {
    {Shape::kProduct,
     "{n} has {a} <boxes|bags|rows|baskets|shelves|piles> with {b} {ts} in each. How many {ts} "
     "does {n} have?",
     "{n} has {s1} {ts}."},
    {Shape::kProduct,
     "{n} <makes|paints|finds|sells|packs|cleans> {b} {ts} every {unit}. How many {ts} is that in "
     "{a} {unit}s?",
     "That is {s1} {ts}."},
    {Shape::kProduct,
     "One {t} costs {b} coins <at the market|in the shop|at the fair|today>. How many coins does "
     "{n} pay for {a} {ts}?",
     "{n} pays {s1} coins."},
};
constexpr Form kTwoSteps[] = {
    {Shape::kSumDifference,
     "{n} has {a} {ts}. {^he} <finds|buys|gets> {b} more and then gives {c} to {m}. How many {ts} "
     "does {n} have left?",
     "First {n} has {s1} {ts}. Then {he} has {s2} {ts} left."},
    {Shape::kDifferenceSum,
     "{n} has {a} {ts}. {^he} <loses|sells|breaks> {b} of them, but {m} gives {n} {c} new ones. "
     "How many {ts} does {n} have now?",
     "First {n} has {s1} {ts}. Then {he} has {s2} {ts}."},
    {Shape::kSumSum,
     "{n} <picks|counts|packs> {a} {ts} on Monday, {b} on Tuesday and {c} on Friday. How many {ts} "
     "is that in all?",
     "On the first two days it is {s1} {ts}. In all it is {s2} {ts}."},
    {Shape::kProductSum,
     "{n} has {a} <boxes|bags|rows|baskets|shelves|piles> with {b} {ts} in each and {c} more {ts} "
     "on the table. How many {ts} does {n} have in all?",
     "In them there are {s1} {ts}. In all there are {s2} {ts}."},
    {Shape::kProductDifference,
     "{n} has {a} <boxes|bags|rows|baskets|shelves|piles> with {b} {ts} in each. {^he} sells {c} "
     "of them. How many {ts} does {n} have left?",
     "First {n} has {s1} {ts}. Then {he} has {s2} {ts} left."},
    {Shape::kBothMore,
     "{n} has {a} {ts}. {m} has {b} more than {n}. How many {ts} do they have together?",
     "{m} has {s1} {ts}. Together they have {s2} {ts}."},
    {Shape::kBothFewer,
     "{n} has {a} {ts}. {m} has {b} fewer than {n}. How many {ts} do they have together?",
     "{m} has {s1} {ts}. Together they have {s2} {ts}."},
    {Shape::kChange,
     "One {t} costs {b} coins. {n} buys {a} {ts} and had {c} coins. How many coins does {n} have "
     "left?",
     "{n} pays {s1} coins. Then {he} has {s2} coins left."},
};

struct Numbers {
  int a = 0, b = 0, c = 0;
};

/// Two numbers of at least 2 with a sum of at most `max`.
Numbers draw_sum(Rng& rng, int max) {
  const int total = draw_between(rng, 5, max);
  const int a = draw_between(rng, 2, total - 2);
  return {a, total - a, 0};
}

/// Results are at least 2 as well, so that plurals are right.
Numbers draw_difference(Rng& rng, int max) {
  const int a = draw_between(rng, 4, max);
  return {a, draw_between(rng, 2, a - 2), 0};
}

/// Two factors with a product of at most `max`.
Numbers draw_product(Rng& rng, int max_factor, int max) {
  while (true) {
    const int a = draw_between(rng, 2, max_factor), b = draw_between(rng, 2, max_factor);
    if (a * b <= max) return {a, b, 0};
  }
}

Numbers draw_numbers(Shape shape, Rng& rng, const ArithmeticLevel& level) {
  const int max = level.max_total;
  Numbers n;
  switch (shape) {
    case Shape::kSum:
      return draw_sum(rng, max);
    case Shape::kDifference:
      return draw_difference(rng, max);
    case Shape::kProduct:
      return draw_product(rng, level.max_factor, level.max_factor * level.max_factor);
    case Shape::kSumDifference:
      n = draw_sum(rng, max);
      n.c = draw_between(rng, 2, n.a + n.b - 2);
      return n;
    case Shape::kDifferenceSum:
      n = draw_difference(rng, max - 2);
      n.c = draw_between(rng, 2, max - (n.a - n.b));
      return n;
    case Shape::kSumSum:
      n = draw_sum(rng, max - 2);
      n.c = draw_between(rng, 2, max - n.a - n.b);
      return n;
    case Shape::kProductSum:
      n = draw_product(rng, level.max_factor, max - 2);
      n.c = draw_between(rng, 2, max - n.a * n.b);
      return n;
    case Shape::kProductDifference:
      n = draw_product(rng, level.max_factor, max);
      n.c = draw_between(rng, 2, n.a * n.b - 2);
      return n;
    case Shape::kBothMore:
      n.a = draw_between(rng, 2, max / 2 - 2);
      n.b = draw_between(rng, 2, max - 2 * n.a);
      return n;
    case Shape::kBothFewer:
      n.a = draw_between(rng, 4, max / 2);
      n.b = draw_between(rng, 2, n.a - 2);
      return n;
    case Shape::kChange:
      n = draw_product(rng, level.max_factor, max - 2);
      n.c = draw_between(rng, n.a * n.b + 2, max);
      return n;
  }
  fail("[corpus] shape {} of a problem is unknown", static_cast<int>(shape));
}

struct Step {
  int x = 0;
  char op = '+';
  int y = 0;
  int result() const { return op == '+' ? x + y : op == '-' ? x - y : x * y; }
};

/// The steps that lead to the answer; the second is absent (op 0) in one-step problems.
std::array<Step, 2> steps_of(Shape shape, const Numbers& n) {
  const auto [a, b, c] = n;
  const Step none{0, 0, 0};
  switch (shape) {
    case Shape::kSum:
      return {Step{a, '+', b}, none};
    case Shape::kDifference:
      return {Step{a, '-', b}, none};
    case Shape::kProduct:
      return {Step{a, 'x', b}, none};
    case Shape::kSumDifference:
      return {Step{a, '+', b}, Step{a + b, '-', c}};
    case Shape::kDifferenceSum:
      return {Step{a, '-', b}, Step{a - b, '+', c}};
    case Shape::kSumSum:
      return {Step{a, '+', b}, Step{a + b, '+', c}};
    case Shape::kProductSum:
      return {Step{a, 'x', b}, Step{a * b, '+', c}};
    case Shape::kProductDifference:
      return {Step{a, 'x', b}, Step{a * b, '-', c}};
    case Shape::kBothMore:
      return {Step{a, '+', b}, Step{a, '+', a + b}};
    case Shape::kBothFewer:
      return {Step{a, '-', b}, Step{a, '+', a - b}};
    case Shape::kChange:
      return {Step{a, 'x', b}, Step{c, '-', a * b}};
  }
  fail("[corpus] shape {} of a problem is unknown", static_cast<int>(shape));
}

/// "23 + 45 = 23 + 40 + 5 = 63 + 5 = 68": the tens first, so that no step needs two carries.
std::string spell(const Step& step, bool split_tens) {
  const int tens = step.y / 10 * 10, ones = step.y % 10;
  std::string text = fmt::format("{} {} {} = ", step.x, step.op, step.y);
  if (split_tens && step.op != 'x' && tens > 0 && ones > 0) {
    const int between = step.op == '+' ? step.x + tens : step.x - tens;
    text +=
        fmt::format("{0} {1} {2} {1} {3} = {4} {1} {3} = ", step.x, step.op, tens, ones, between);
  }
  return text + std::to_string(step.result());
}

const Form* pick_forms(Rng& rng, const ArithmeticLevel& level, uint64_t& count) {
  const auto of = [&count](const auto& table) {
    count = std::size(table);
    return &table[0];
  };
  if (draw_between(rng, 1, 100) <= level.percent_two_steps) return of(kTwoSteps);
  if (draw_between(rng, 1, 100) <= level.percent_products) return of(kProducts);
  return rng.below(2) ? of(kSums) : of(kDifferences);
}

/// Mixes what a question says, name and thing apart (the finalizer of SplitMix64, chained).
uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
  hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9u;
  return hash ^ (hash >> 27);
}

/// name * kNumThings + thing that puts the question into the class of `seed`.
uint64_t complete_class(uint64_t seed, const Form& form, const Numbers& n, uint64_t distance,
                        Rng& rng) {
  uint64_t hash = hash_name(form.question);
  for (int number : {n.a, n.b, n.c}) hash = mix(hash, static_cast<uint64_t>(number));
  hash = mix(hash, distance);
  constexpr uint64_t kChoices = kNumNames * kNumThings / kQuestionClasses;
  static_assert(kChoices * kQuestionClasses == kNumNames * kNumThings);
  return (seed - hash) % kQuestionClasses + kQuestionClasses * rng.below(kChoices);
}

}  // namespace

int append_problem(std::string& out, uint64_t seed, Rng& rng, const ArithmeticLevel& level) {
  uint64_t count = 0;
  const Form* forms = pick_forms(rng, level, count);
  const Form& form = forms[rng.below(count)];
  const Numbers numbers = draw_numbers(form.shape, rng, level);
  const bool two_names = form.question.find("{m}") != std::string_view::npos;
  const uint64_t distance = two_names ? 1 + rng.below(kNumNames - 1) : 0;
  const uint64_t choice = complete_class(seed, form, numbers, distance, rng);
  const int name = static_cast<int>(choice / kNumThings);
  const std::string_view thing = kThings[choice % kNumThings];
  const auto steps = steps_of(form.shape, numbers);

  Filler filler(rng);
  filler.set("n", kNames[name]);
  filler.set("m", kNames[(name + static_cast<int>(distance)) % kNumNames]);
  filler.set("he", pronouns_of(name).he);
  filler.set("t", thing);
  filler.set("ts", std::string(thing) + "s");
  filler.set("unit", pick(rng, kUnits));
  filler.set("a", numbers.a);
  filler.set("b", numbers.b);
  filler.set("c", numbers.c);
  filler.set("s1", spell(steps[0], level.split_tens));
  if (steps[1].op) filler.set("s2", spell(steps[1], level.split_tens));

  const int result = (steps[1].op ? steps[1] : steps[0]).result();
  filler.append(out, form.question);
  out += '\n';
  filler.append(out, form.answer);
  out += fmt::format("\n#### {}\n", result);
  return result;
}

}  // namespace moge::data
