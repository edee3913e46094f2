// Word problems of one and two steps for the demo corpus, solved step by step.
//
// No question of one seed stands in the corpus of another. Each question is one of kQuestionClasses
// classes, a function of what it says: (form, numbers, distance between the two names) are hashed,
// and name * kNumThings + thing is added modulo kQuestionClasses. Seed s writes only questions of
// class s mod kQuestionClasses: name and thing are not drawn freely but completed from the rest. As
// a question's words fix all of these, two seeds whose classes differ never share one. Seeds that
// are equal modulo kQuestionClasses have no such promise; about as many seeds as there are classes
// is also all that the number of different questions would allow.
#pragma once

#include <cstdint>
#include <string>

#include "moge/core/rng.h"

namespace moge::data {

inline constexpr uint64_t kQuestionClasses = 4096;

/// How hard the problems are: the one table to tune.
struct ArithmeticLevel {
  int max_total = 99;   ///< largest sum, minuend and amount of two-step problems
  int max_factor = 12;  ///< largest factor of a product
  int percent_two_steps = 45;
  int percent_products = 30;  ///< of the one-step problems; the rest are sums and differences
  bool split_tens = true;     ///< 23 + 45 = 23 + 40 + 5 = 63 + 5 = 68, not 23 + 45 = 68
};
inline constexpr ArithmeticLevel kArithmeticLevel{};

/// Appends question, newline, worked answer, newline, "#### N", newline; returns N.
int append_problem(std::string& out, uint64_t seed, Rng& rng,
                   const ArithmeticLevel& level = kArithmeticLevel);

}  // namespace moge::data
