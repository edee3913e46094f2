// A model's text, as it comes, into answer, reasoning and calls.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "moge/serve/reasoning_parser.h"
#include "moge/serve/tool_parser.h"

namespace moge::serve {

/// What to look for in one request's answers.
struct OutputForm {
  const ReasoningForm* reasoning = nullptr;  ///< null: there is none
  const ToolForm* tools = nullptr;           ///< null: no tools were offered
  bool one_call = false;                     ///< parallel_tool_calls: false
  bool reasoning_open = false;               ///< the prompt has begun it
};

class OutputParser {
 public:
  explicit OutputParser(const OutputForm& form);
  /// What one token adds to the text, or (push) what was held back.
  OutputParts push_token(std::string_view text);
  OutputParts push(std::string_view text);
  OutputParts finish();
  int calls() const;
  int64_t reasoning_tokens() const;  ///< those of the markers too

 private:
  void answer(std::string_view text, OutputParts& parts);
  OutputParts kept(OutputParts parts) const;

  OutputForm form_;
  std::optional<ReasoningParser> reasoning_;
  std::optional<ToolParser> tools_;
  int64_t tokens_before_answer_ = 0;
};

}  // namespace moge::serve
