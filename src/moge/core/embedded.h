// Files of the source tree compiled into the program (cmake/embed.cmake).
#pragma once

#include <span>
#include <string_view>

namespace moge {

struct EmbeddedFile {
  std::string_view name;  ///< without folder
  std::string_view content;
};
using EmbeddedFiles = std::span<const EmbeddedFile>;

}  // namespace moge
