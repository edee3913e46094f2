// Answers without a forward pass: texts and token ids, and what the server says about itself.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "moge/serve/service.h"

namespace moge::serve {

/// POST /tokenize in vLLM's form, or in llama.cpp's where the text comes as `content`.
nlohmann::ordered_json tokenize(const Service& service, std::string_view body);
/// POST /detokenize: the text as `prompt` (vLLM) and as `content` (llama.cpp).
nlohmann::ordered_json detokenize(const Service& service, std::string_view body);
/// POST /apply-template: the chat as the model would see it.
nlohmann::ordered_json apply_template(const Service& service, std::string_view body);

nlohmann::ordered_json version_info();                 ///< GET /version
nlohmann::ordered_json props(const Service& service);  ///< GET /props
nlohmann::ordered_json slots(const Service& service);  ///< GET /slots

}  // namespace moge::serve
