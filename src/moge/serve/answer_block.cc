#include "moge/serve/answer_block.h"

#include <utility>

namespace moge::serve {

namespace {

AnswerBlock::Kind kind_of(const OutputPart& part) {
  switch (part.kind) {
    case OutputPart::Kind::kContent:
      return AnswerBlock::Kind::kText;
    case OutputPart::Kind::kReasoning:
      return AnswerBlock::Kind::kReasoning;
    default:
      return AnswerBlock::Kind::kCall;
  }
}

}  // namespace

bool continues(const AnswerBlock& block, const OutputPart& part) {
  return part.kind != OutputPart::Kind::kCallName && block.kind == kind_of(part);
}

AnswerBlock block_for(const OutputPart& part) {
  const bool names = part.kind == OutputPart::Kind::kCallName;
  return {.kind = kind_of(part), .name = names ? part.text : ""};
}

std::vector<AnswerBlock> blocks_of(const OutputParts& parts) {
  std::vector<AnswerBlock> blocks;
  for (const OutputPart& part : parts) {
    if (blocks.empty() || !continues(blocks.back(), part)) blocks.push_back(block_for(part));
    if (part.kind != OutputPart::Kind::kCallName) blocks.back().text += part.text;
  }
  return blocks;
}

}  // namespace moge::serve
