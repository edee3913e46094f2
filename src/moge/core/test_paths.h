// Where tests find their files.
#pragma once

#include <filesystem>

namespace moge::testing {

std::filesystem::path source_folder();   ///< of this checkout
std::filesystem::path shared_goldens();  ///< $MOGE_SHARED/goldens or ../shared/goldens
inline std::filesystem::path own_goldens() { return source_folder() / "tests/goldens"; }

}  // namespace moge::testing
