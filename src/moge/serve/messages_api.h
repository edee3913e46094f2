// Answers of Anthropic's /v1/messages.
#pragma once

#include <cstdint>

#include "moge/serve/block_api.h"

namespace moge::serve {

class MessagesApi final : public BlockApi {
 public:
  MessagesApi(std::string model, int64_t prompt_tokens);
  Json whole(const std::vector<AnswerBlock>& blocks, const BlocksEnd& end) override;
  void begin(NamedEvents& events) override;
  void open(size_t index, const AnswerBlock& block, NamedEvents& events) override;
  void add(size_t index, const AnswerBlock& block, const std::string& text,
           NamedEvents& events) override;
  void close(size_t index, const AnswerBlock& block, NamedEvents& events) override;
  void end(const std::vector<AnswerBlock>& blocks, const BlocksEnd& end,
           NamedEvents& events) override;
  void fail(const std::string& message, NamedEvents& events) override;

 private:
  Json envelope() const;
  Json usage(int64_t cached_tokens, int64_t output_tokens) const;
  Json block_json(size_t index, const AnswerBlock& block) const;

  std::string model_, id_;
  int64_t prompt_tokens_;
};

}  // namespace moge::serve
