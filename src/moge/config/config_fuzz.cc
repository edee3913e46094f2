// config.json from anywhere: either a model description or an Error.
#include <nlohmann/json.hpp>
#include <string>

#include "moge/config/model_config.h"
#include "moge/core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto json = nlohmann::json::parse(data, data + size, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return 0;
  try {
    const moge::ModelConfig config = moge::parse_model_config(json, "fuzz");
    if (moge::parse_model_config(moge::to_json(config), "again").layers != config.layers)
      __builtin_trap();
  } catch (const moge::Error&) {
  }
  return 0;
}
