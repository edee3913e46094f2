#include "moge/data/permutation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "moge/core/error.h"

namespace moge::data {
namespace {

TEST(Permutation, VisitsEveryElementOnce) {
  for (int64_t n : {1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 1000, 4097}) {
    for (uint64_t stream : {0, 1}) {
      const Permutation permutation(n, 5, stream);
      std::vector<int> seen(static_cast<size_t>(n));
      for (int64_t i = 0; i < n; ++i) {
        const int64_t j = permutation(i);
        ASSERT_GE(j, 0);
        ASSERT_LT(j, n);
        ++seen[static_cast<size_t>(j)];
      }
      for (int count : seen) ASSERT_EQ(count, 1);
    }
  }
  EXPECT_THROW(Permutation(0, 1, 1), Error);
}

TEST(Permutation, SeedAndStreamChangeIt) {
  const int64_t n = 1000;
  const Permutation a(n, 1, 1), b(n, 2, 1), c(n, 1, 2), again(n, 1, 1);
  int same_ab = 0, same_ac = 0;
  for (int64_t i = 0; i < n; ++i) {
    EXPECT_EQ(a(i), again(i));
    same_ab += a(i) == b(i);
    same_ac += a(i) == c(i);
  }
  EXPECT_LT(same_ab, 10);
  EXPECT_LT(same_ac, 10);
}

// Chi-square of "which of 8 parts does position p go to": far outside its spread for a shuffle that
// leaves neighbours together.
TEST(Permutation, PositionsAreSpreadEvenly) {
  constexpr int64_t kN = 64, kStreams = 4000;
  for (int64_t position : {0, 1, 31, 63}) {
    std::vector<double> count(8);
    for (uint64_t stream = 0; stream < kStreams; ++stream)
      ++count[static_cast<size_t>(Permutation(kN, 9, stream)(position) / 8)];
    double chi2 = 0;
    for (double c : count) chi2 += (c - kStreams / 8.0) * (c - kStreams / 8.0) / (kStreams / 8.0);
    EXPECT_LT(chi2, 7 + 6 * std::sqrt(14.0)) << position;  // mean 7, variance 14
  }
}

}  // namespace
}  // namespace moge::data
