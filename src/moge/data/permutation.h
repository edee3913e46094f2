// A shuffle of 0..n-1 that needs no table: element i is computed from the seed alone.
#pragma once

#include <cstdint>

namespace moge::data {

/// A Feistel network over the smallest power of two that holds n, with philox as its round
/// function; values of n and above are sent through it again until one lies below n.
class Permutation {
 public:
  Permutation(int64_t n, uint64_t seed, uint64_t stream);

  int64_t size() const { return static_cast<int64_t>(n_); }
  int64_t operator()(int64_t i) const;

 private:
  uint64_t encrypt(uint64_t value) const;

  uint64_t n_, seed_, stream_;
  int low_bits_, high_bits_;
};

}  // namespace moge::data
