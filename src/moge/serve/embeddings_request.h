// Bodies of /v1/embeddings.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "moge/serve/api_request.h"

namespace moge::serve {

struct EmbeddingsRequest {
  std::string model;
  std::vector<Prompt> inputs;
  bool base64 = false;  ///< little-endian fp32, else numbers
  bool normalize = true;
};

/// Throws ApiError: 400 with the field's name.
EmbeddingsRequest parse_embeddings_request(std::string_view body);

}  // namespace moge::serve
