#include "moge/serve/new_id.h"

#include <random>

#include "moge/core/error.h"

namespace moge::serve {

std::string new_id(const char* prefix) {
  std::random_device random;
  return fmt::format("{}{:08x}{:08x}", prefix, random(), random());
}

}  // namespace moge::serve
