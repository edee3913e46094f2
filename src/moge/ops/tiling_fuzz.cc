// A file of tile sizes from anywhere: sizes that may be used, or one sentence.
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "moge/ops/tiling.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::filesystem::path kPath =
      std::filesystem::temp_directory_path() / ("tiling_fuzz" + std::to_string(getpid()));
  std::ofstream(kPath, std::ios::binary).write(reinterpret_cast<const char*>(data), size);
  moge::TilingTable table("cpu", "isa");
  const std::string problem = table.read(kPath);
  moge::Weight w = {.format = moge::WeightFormat::kW8A8, .n = 64, .k = 32};
  table.assign(w);
  for (const moge::TileSizes& sizes : w.tiles)
    if (sizes != moge::TileSizes{} &&
        std::find(moge::kTileCandidates.begin(), moge::kTileCandidates.end(), sizes) ==
            moge::kTileCandidates.end())
      __builtin_trap();
  if (!problem.empty() && table.size() > 0) __builtin_trap();
  std::filesystem::remove(kPath);
  return 0;
}
