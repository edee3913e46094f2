#include "moge/core/rng.h"

#include <cmath>
#include <numbers>

namespace moge {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
    k = {k[0] + 0x9E3779B9u, k[1] + 0xBB67AE85u};
  }
  return c;
}

uint64_t hash_name(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (unsigned char c : name) hash = (hash ^ c) * 0x100000001b3u;
  return hash;
}

namespace {
std::array<uint32_t, 4> draw(uint64_t seed, uint64_t stream, uint64_t index) {
  return philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                 static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32)},
                {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
}
double to_unit(uint32_t high, uint32_t low) {
  return static_cast<double>(((uint64_t{high} << 32) | low) >> 11) * 0x1p-53;
}
}  // namespace

uint64_t Rng::bits_at(uint64_t index) const {
  const auto r = draw(seed_, stream_, index);
  return (uint64_t{r[1]} << 32) | r[0];
}

double Rng::uniform_at(uint64_t index) const {
  const auto r = draw(seed_, stream_, index);
  return to_unit(r[1], r[0]);
}

float Rng::normal_at(uint64_t index) const {
  const auto r = draw(seed_, stream_, index);
  const double radius = std::sqrt(-2.0 * std::log1p(-to_unit(r[1], r[0])));
  return static_cast<float>(radius * std::cos(2.0 * std::numbers::pi * to_unit(r[3], r[2])));
}

uint64_t Rng::below(uint64_t n) {
  const uint64_t limit = n * (UINT64_MAX / n);  // draws at or above it would favour small values
  uint64_t value = bits();
  while (value >= limit) value = bits();
  return value % n;
}

}  // namespace moge
