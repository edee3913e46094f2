// Answers of OpenAI's /v1/responses.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>

#include "moge/serve/block_api.h"

namespace moge::serve {

class ResponsesApi final : public BlockApi {
 public:
  /// `echo_json`: fields of the request that each answer repeats.
  ResponsesApi(std::string model, const std::string& echo_json, int64_t prompt_tokens);
  ~ResponsesApi() override;
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
  Json envelope(const char* status) const;
  Json item(size_t index, const AnswerBlock& block, const char* status) const;
  std::string item_id(size_t index, const AnswerBlock& block) const;
  Json event_of(const char* type, size_t index, const AnswerBlock& block) const;
  void push(Json event, NamedEvents& events);

  std::string model_, id_;
  std::unique_ptr<const Json> echo_;
  int64_t prompt_tokens_, sequence_ = 0;
  std::time_t created_ = std::time(nullptr);
};

}  // namespace moge::serve
