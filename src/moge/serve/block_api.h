// What Anthropic's messages and OpenAI's responses have in common: one answer, written as blocks,
// whole or as named events.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "moge/infer/text_sink.h"
#include "moge/serve/answer_block.h"

namespace moge::serve {

using Json = nlohmann::ordered_json;
using NamedEvents = std::vector<Json>;  ///< each has its name as `type`

struct BlocksEnd : infer::TextEnd {
  BlocksEnd(infer::TextEnd end, int64_t reasoning = 0)
      : TextEnd(std::move(end)), reasoning_tokens(reasoning) {}
  int64_t reasoning_tokens = 0;
};

class BlockApi {
 public:
  virtual ~BlockApi() = default;
  virtual Json whole(const std::vector<AnswerBlock>& blocks, const BlocksEnd& end) = 0;

  /// Events, appended in the order in which the answer comes.
  virtual void begin(NamedEvents& events) = 0;
  virtual void open(size_t index, const AnswerBlock& block, NamedEvents& events) = 0;
  virtual void add(size_t index, const AnswerBlock& block, const std::string& text,
                   NamedEvents& events) = 0;
  virtual void close(size_t index, const AnswerBlock& block, NamedEvents& events) = 0;
  virtual void end(const std::vector<AnswerBlock>& blocks, const BlocksEnd& end,
                   NamedEvents& events) = 0;
  virtual void fail(const std::string& message, NamedEvents& events) = 0;
};

}  // namespace moge::serve
