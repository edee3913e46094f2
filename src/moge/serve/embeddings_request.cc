#include "moge/serve/embeddings_request.h"

#include "moge/serve/request_fields.h"

namespace moge::serve {

namespace {

constexpr size_t kMaxInputs = 2048;

Prompt read_input(const Json& input) {
  if (input.is_string()) return {.text = input.get<std::string>()};
  require(input.is_array() && !input.empty(), "input",
          "an entry of input is neither a string nor a list of token ids");
  Prompt prompt{.is_ids = true};
  for (const Json& id : input) prompt.ids.push_back(as_token(id, "input"));
  return prompt;
}

}  // namespace

EmbeddingsRequest parse_embeddings_request(std::string_view text) {
  const Json body = parse_body(text);
  EmbeddingsRequest request;
  if (find(body, "model")) request.model = read_text(body, "model");
  const Json* input = find(body, "input");
  require(input && (input->is_string() || (input->is_array() && !input->empty())), "input",
          "input is neither a string nor a non-empty list");
  if (input->is_string() || input->front().is_number()) {
    request.inputs.push_back(read_input(*input));
  } else {
    require(input->size() <= kMaxInputs, "input", "input has {} entries, at most {} are allowed",
            input->size(), kMaxInputs);
    for (const Json& entry : *input) request.inputs.push_back(read_input(entry));
  }
  const std::string format = read_text(body, "encoding_format", "float");
  require(format == "float" || format == "base64", "encoding_format",
          "encoding_format is '{}', which is neither float nor base64", format);
  request.base64 = format == "base64";
  request.normalize = read_bool(body, "normalize", true);
  refuse_missing_features(body, {"dimensions"});
  return request;
}

}  // namespace moge::serve
