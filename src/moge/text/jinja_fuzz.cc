// libFuzzer: a template, and behind a byte 0x1E a JSON object of variables. Whatever comes, the
// answer is a text or an Error, within the budget.
#include <nlohmann/json.hpp>
#include <string_view>

#include "moge/core/error.h"
#include "moge/text/chat_template.h"

namespace {

using Json = nlohmann::ordered_json;

const Json& fallback_variables() {
  static const Json variables = Json::parse(R"({
    "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": " Ünï\n"},
                 {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}],
    "tools": [{"name": "f", "parameters": {"properties": {"x": {"type": "string"}}}}],
    "d": {"a": 1, "b": [1.5, null, true, "x"]}, "n": 7, "s": "text", "words": ["b", "A"]})");
  return variables;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t mark = std::min(input.find('\x1e'), input.size());
  Json variables = fallback_variables();
  if (mark < input.size()) {
    Json parsed = Json::parse(input.substr(mark + 1), nullptr, /*allow_exceptions=*/false);
    if (parsed.is_object()) variables = std::move(parsed);
  }
  try {
    const auto chat = moge::text::ChatTemplate::parse(input.substr(0, mark));
    const moge::text::ChatOptions options{.add_generation_prompt = true,
                                          .bos_token = "<s>",
                                          .extra = &variables,
                                          .now = std::tm{.tm_mday = 1},
                                          .max_steps = 20'000,
                                          .max_bytes = 4 << 20};
    chat.render(Json::array(), nullptr, options);
  } catch (const moge::Error&) {
  }
  return 0;
}
