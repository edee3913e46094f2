// How products with a quantized weight are cut, by rows per expert. Sizes never change the bits of
// a result: sums over K are exact integers, or one chain over the groups.
#pragma once

#include <array>
#include <cstdint>

namespace moge {

struct TileSizes {
  uint16_t slice_kb = 0;  ///< of a task's weights at most; 0: as built in
  uint16_t block_kb = 0;  ///< of packed rows that stay in the cache while weights pass
  bool operator==(const TileSizes&) const = default;
};

constexpr uint16_t kWholeExpert = UINT16_MAX;  ///< as slice_kb: no limit
/// What may be chosen. Small slices are even pieces of memory, for products that only read their
/// weights; whole experts keep rows packed once.
inline constexpr std::array<TileSizes, 6> kTileCandidates = {{{320, 1024},
                                                              {kWholeExpert, 1024},
                                                              {160, 1024},
                                                              {640, 1024},
                                                              {kWholeExpert, 512},
                                                              {kWholeExpert, 256}}};
constexpr int64_t kMostBlockKb = 1024;

/// Buckets of rows per expert, and the number that each is measured at.
constexpr int kTileBuckets = 4;
inline constexpr std::array<int64_t, kTileBuckets> kTileRows = {1, 16, 64, 512};
constexpr int tile_bucket(int64_t rows) {
  return rows <= 4 ? 0 : rows <= 16 ? 1 : rows <= 128 ? 2 : 3;
}

using TileTable = std::array<TileSizes, kTileBuckets>;  ///< of one weight

}  // namespace moge
