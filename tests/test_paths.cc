#include "moge/core/test_paths.h"

#include <cstdlib>

namespace moge::testing {

std::filesystem::path source_folder() { return MOGE_SOURCE_DIR; }

std::filesystem::path shared_goldens() {
  const char* shared = std::getenv("MOGE_SHARED");
  const std::filesystem::path root =
      shared ? std::filesystem::path(shared) : source_folder().parent_path() / "shared";
  return root / "goldens";
}

}  // namespace moge::testing
