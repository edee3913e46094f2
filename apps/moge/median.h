// What the benches report of repeated times.
#pragma once

#include <algorithm>
#include <vector>

namespace moge {

/// The middle one; of an even number the upper of the two. values: at least one.
inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace moge
