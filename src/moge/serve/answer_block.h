// An answer as a list of blocks, the form of Anthropic's messages and of OpenAI's responses.
#pragma once

#include <string>
#include <vector>

#include "moge/serve/output_part.h"

namespace moge::serve {

struct AnswerBlock {
  enum class Kind { kText, kReasoning, kCall };
  Kind kind = Kind::kText;
  std::string name;  ///< of the tool that is called
  std::string text;  ///< a call's: its arguments
};

/// Whether the part belongs to the block, or begins another.
bool continues(const AnswerBlock& block, const OutputPart& part);
/// The empty block that the part begins.
AnswerBlock block_for(const OutputPart& part);
std::vector<AnswerBlock> blocks_of(const OutputParts& parts);

}  // namespace moge::serve
