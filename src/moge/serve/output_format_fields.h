// The fields by which clients ask for structured output: OpenAI's, vLLM's and llama.cpp's.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "moge/grammar/output_format.h"

namespace moge::serve {

struct AskedFormat {
  grammar::OutputFormat format;
  std::string field;  ///< where it was asked for
};

/// Nothing where no format is asked for. Throws ApiError: 400 naming the field that is wrong or the
/// two that exclude each other.
std::optional<AskedFormat> read_output_format(const nlohmann::ordered_json& body);

}  // namespace moge::serve
