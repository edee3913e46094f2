#include "moge/infer/prompt_lookup.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "moge/core/error.h"

namespace moge::infer {

void SpeculationOptions::validate() const {
  check(num_speculative_tokens >= 0 && num_speculative_tokens <= 64,
        "num_speculative_tokens is {}, must be between 0 and 64", num_speculative_tokens);
  check(prompt_lookup_min >= 1 && prompt_lookup_min <= prompt_lookup_max,
        "prompt_lookup_min is {}, must be between 1 and prompt_lookup_max = {}", prompt_lookup_min,
        prompt_lookup_max);
  check(prompt_lookup_max <= 64, "prompt_lookup_max is {}, must be at most 64", prompt_lookup_max);
}

SpeculationOptions SpeculationOptions::parse(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  check(json.is_object(), "speculative-config is not a JSON object: {}", text);
  SpeculationOptions options{.num_speculative_tokens = 4};
  bool has_min = false;
  for (const auto& [key, value] : json.items()) {
    if (key == "method") {
      check(value == "ngram", "speculative-config has the method {}, only \"ngram\" is known",
            value.dump());
      continue;
    }
    int64_t* field = key == "num_speculative_tokens" ? &options.num_speculative_tokens
                     : key == "prompt_lookup_max"    ? &options.prompt_lookup_max
                     : key == "prompt_lookup_min"    ? &options.prompt_lookup_min
                                                     : nullptr;
    check(field != nullptr, "speculative-config has the unknown key '{}'", key);
    check(value.is_number_integer(), "speculative-config: {} is not an integer", key);
    *field = value.get<int64_t>();
    has_min |= key == "prompt_lookup_min";
  }
  if (!has_min)
    options.prompt_lookup_min = std::min(options.prompt_lookup_min, options.prompt_lookup_max);
  options.validate();
  return options;
}

void look_up_drafts(std::vector<int32_t>& tokens, const SpeculationOptions& options, int64_t most) {
  const auto length = static_cast<int64_t>(tokens.size());
  most = std::min(most, options.num_speculative_tokens);
  const int64_t longest = std::min(options.prompt_lookup_max, length - 1);
  if (most <= 0 || longest < options.prompt_lookup_min) return;
  int64_t best = 0, from = 0;
  for (int64_t end = length - 1; end > 0 && best < longest; --end) {
    // How far the tokens before `end` agree with the last ones.
    int64_t run = 0;
    while (run < longest && run < end && tokens[end - 1 - run] == tokens[length - 1 - run]) ++run;
    if (run > best) best = run, from = end;
  }
  if (best < options.prompt_lookup_min) return;
  // Beyond the end the guesses repeat themselves: what comes again may come a third time.
  for (int64_t i = from; i < from + most; ++i) tokens.push_back(tokens[static_cast<size_t>(i)]);
}

}  // namespace moge::infer
