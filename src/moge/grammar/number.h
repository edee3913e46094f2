// JSON numbers within bounds, as automata.
#pragma once

#include <optional>
#include <string>

#include "moge/grammar/dfa.h"

namespace moge::grammar {

/// A number written out, without zeros that say nothing.
struct Decimal {
  bool negative = false;
  std::string whole, fraction;  ///< digits; "" is 0
};

/// Of a number as JSON and C++ print it. Throws Error beyond 40 digits.
Decimal decimal_of(std::string_view text);

struct NumberBounds {
  struct Bound {
    Decimal value;
    bool open = false;  ///< the value itself is out of bounds
  };
  std::optional<Bound> low, high;
  bool integer = false;
  std::optional<int64_t> multiple_of;  ///< of integers
  int max_fraction = 15;               ///< digits behind the point
};

/// Numbers within the bounds, without exponents, of at most 15 digits unless a bound has more. No
/// bound at all of a number that need not be whole: with exponents of up to two digits.
Dfa number_dfa(const NumberBounds& bounds, Budget& budget);

}  // namespace moge::grammar
