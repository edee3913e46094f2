// What the compilation of a grammar may cost: a hostile one is refused instead of computed.
#pragma once

#include <cstdint>

#include "moge/core/error.h"

namespace moge::grammar {

inline constexpr int kMaxNesting = 100;         ///< of expressions, schemas, groups
inline constexpr int64_t kMaxNodes = 1 << 18;   ///< of a grammar's expressions
inline constexpr int64_t kMaxRules = 1 << 14;   ///< of a grammar
inline constexpr int64_t kMaxStates = 1 << 17;  ///< of all rules together
inline constexpr int64_t kMaxWork =
    15'000'000;                                 ///< steps of all constructions, well below a second
inline constexpr int64_t kMaxText = 1 << 19;    ///< bytes of a schema, an expression, a grammar
inline constexpr int32_t kMaxRepeat = 1 << 14;  ///< of {m,n}, maxLength, maxItems
inline constexpr int32_t kMaxDepth = 256;       ///< of rules within rules while text is made

/// Steps left. Throws Error once they are spent.
class Budget {
 public:
  explicit Budget(int64_t steps = kMaxWork) : left_(steps) {}
  void spend(int64_t steps) {
    left_ -= steps;
    check(left_ >= 0, "the grammar is too large: it takes too many steps to compile");
  }

 private:
  int64_t left_;
};

}  // namespace moge::grammar
