#include <nlohmann/json.hpp>

#include "moge/config/model_config.h"
#include "moge/core/embedded.h"
#include "moge/core/error.h"
#include "moge/core/names.h"

namespace moge {

// Generated from presets/*.json by moge_embed (cmake/embed.cmake).
extern const EmbeddedFiles kPresetFiles;

namespace {
constexpr std::string_view kSuffix = ".json";
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : kPresetFiles)
    names.emplace_back(file.name.substr(0, file.name.size() - kSuffix.size()));
  return names;
}

ModelConfig preset_config(const std::string& name) {
  for (const EmbeddedFile& file : kPresetFiles)
    if (file.name == name + std::string(kSuffix))
      return parse_model_config(nlohmann::json::parse(file.content), "preset:" + name);
  std::string all;
  for (const std::string& known : preset_names()) all += (all.empty() ? "" : ", ") + known;
  fail("there is no preset '{}'{} (known: {})", name, did_you_mean(name, preset_names()), all);
}

}  // namespace moge
