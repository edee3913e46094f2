// The tile sizes that were found best on this machine: one table, kept in one JSON file of the
// user's cache folder. Filled while a model loads or by `moge bench gmm --tune`, never in a step.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "moge/ops/linear.h"

namespace moge {

class TilingTable {
 public:
  /// $XDG_CACHE_HOME/moge/tiling.json or ~/.cache/moge/tiling.json; empty where neither is known.
  static std::filesystem::path user_path();

  /// Of one processor (its name in the file: topology()'s model and number of cores) and one
  /// instruction set.
  TilingTable(const std::string& cpu, const std::string& isa) : section_(cpu + ", " + isa) {}
  explicit TilingTable(const kernels::Table& table);

  const TileSizes* find(const Weight& w, int bucket) const;
  void set(const Weight& w, int bucket, TileSizes sizes);
  size_t size() const { return sizes_.size(); }

  /// Adds what the file knows. A file that is damaged or not there gives nothing; what is wrong
  /// with it is the sentence returned (empty: nothing).
  std::string read(const std::filesystem::path& path);
  /// Adds this table to the file, whatever others added meanwhile; throws Error where it cannot be
  /// written.
  void write(const std::filesystem::path& path) const;

  /// For a quantized weight: its sizes as far as they are known; else as built in.
  void assign(Weight& w) const;

 private:
  std::string section_;
  std::map<std::string, TileSizes> sizes_;  ///< by format, shape and rows
};

/// The fastest of kTileCandidates for a weight with kTileRows[bucket] rows an expert, if it is
/// clearly faster than what is built in: some milliseconds of products.
TileSizes measure_tiles(const Context& context, const Weight& w, int bucket);

/// Measures what `table` lacks of a weight (or all, if `again`), for up to `most_rows` rows an
/// expert, and assigns it; returns how many products were measured.
int tune(const Context& context, TilingTable& table, Weight& w, int64_t most_rows,
         bool again = false);

}  // namespace moge
