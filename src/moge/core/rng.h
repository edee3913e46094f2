// Counter-based random numbers: every draw is a pure function of (seed, stream, counter), so that
// weights and sample orders do not depend on threads, ranks or the order of drawing.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace moge {

/// Philox 4x32-10 (Salmon et al., SC'11): 128 random bits of a 128-bit counter and a 64-bit key.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// FNV-1a of a name, the stream number of a tensor.
uint64_t hash_name(std::string_view name);

/// A stream of draws; element i of stream s under seed k is always the same.
class Rng {
 public:
  Rng(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}
  Rng(uint64_t seed, std::string_view name) : Rng(seed, hash_name(name)) {}

  /// Draw number `index`, independent of the sequential draws below.
  uint64_t bits_at(uint64_t index) const;
  double uniform_at(uint64_t index) const;  ///< in [0, 1)
  float normal_at(uint64_t index) const;    ///< mean 0, variance 1 (Box-Muller)

  /// Sequential draws.
  uint64_t bits() { return bits_at(next_++); }
  double uniform() { return uniform_at(next_++); }
  float normal() { return normal_at(next_++); }
  uint64_t below(uint64_t n);  ///< unbiased in [0, n); n > 0

 private:
  uint64_t seed_, stream_, next_ = 0;
};

}  // namespace moge
