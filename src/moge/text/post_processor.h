// Post-processors of tokenizer.json: the ids that a text gets before and behind its own.
#pragma once

#include <cstdint>
#include <vector>

#include "moge/text/json_node.h"

namespace moge::text {

struct Surrounding {
  std::vector<int32_t> before, after;
};

/// TemplateProcessing (its "single" part), ByteLevel (which concerns offsets only), Sequence; null
/// adds nothing. Throws Error for any other, by name.
Surrounding read_post_processor(const JsonNode& node);

}  // namespace moge::text
