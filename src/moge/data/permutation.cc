#include "moge/data/permutation.h"

#include <bit>
#include <utility>

#include "moge/core/error.h"
#include "moge/core/rng.h"

namespace moge::data {

namespace {
constexpr uint32_t kRounds = 6;  // four make it pseudo-random; two more for tiny n

uint64_t mask(int bits) { return (uint64_t{1} << bits) - 1; }
}  // namespace

Permutation::Permutation(int64_t n, uint64_t seed, uint64_t stream)
    : n_(static_cast<uint64_t>(n)), seed_(seed), stream_(stream) {
  check(n >= 1, "[permutation] {} elements, at least 1 is needed", n);
  const int bits = std::max(2, static_cast<int>(std::bit_width(n_ - 1)));
  low_bits_ = bits / 2;
  high_bits_ = bits - low_bits_;
}

uint64_t Permutation::encrypt(uint64_t value) const {
  uint64_t low = value & mask(low_bits_), high = value >> low_bits_;
  int low_bits = low_bits_, high_bits = high_bits_;
  for (uint32_t round = 0; round < kRounds; ++round) {
    // Halves may differ by one bit: they trade places, and their widths with them.
    const auto random = philox({static_cast<uint32_t>(low), round, static_cast<uint32_t>(stream_),
                                static_cast<uint32_t>(stream_ >> 32)},
                               {static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)});
    high = (high ^ random[0]) & mask(high_bits);
    std::swap(low, high);
    std::swap(low_bits, high_bits);
  }
  return high << low_bits_ | low;
}

int64_t Permutation::operator()(int64_t i) const {
  auto value = static_cast<uint64_t>(i);
  do value = encrypt(value);
  while (value >= n_);
  return static_cast<int64_t>(value);
}

}  // namespace moge::data
