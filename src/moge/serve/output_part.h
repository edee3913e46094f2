// What a model's text consists of: the answer, the reasoning before it, calls of tools.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moge::serve {

struct OutputPart {
  enum class Kind { kContent, kReasoning, kCallName, kCallArguments };
  Kind kind = Kind::kContent;
  std::string text;  ///< what this part adds; a call's name comes once, whole
  int call = 0;      ///< of which call, from 0
};
using OutputParts = std::vector<OutputPart>;

/// The length of the longest end of `text` that could be the beginning of `marker`.
size_t possible_beginning(std::string_view text, std::string_view marker);

/// `text` without white space at its end.
std::string_view without_trailing_space(std::string_view text);

constexpr std::string_view kWhiteSpace = " \t\r\n";

}  // namespace moge::serve
