// Answers of /v1/completions and /v1/chat/completions as JSON, whole and in chunks.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "moge/serve/running.h"

namespace moge::serve {

using Json = nlohmann::ordered_json;

enum class ApiKind { kCompletion, kChat };

/// Writes the objects of one request.
class ResponseWriter {
 public:
  ResponseWriter(const Service& service, ApiKind kind, const GenerateRequest& request);

  /// The whole answer of a request that does not stream; a chat's answers have been split.
  Json whole(const std::vector<Answer>& answers) const;

  Json role_chunk(int index) const;  ///< chat: the first chunk of an answer
  Json piece_chunk(int index, const infer::TextPiece& piece, int64_t text_offset) const;
  Json end_chunk(int index, const infer::TextEnd& end, int64_t text_offset) const;
  /// The same for chat: what the piece or the end adds, if anything.
  Json chat_chunk(int index, const OutputParts& parts, const infer::TextPiece& piece) const;
  Json chat_end_chunk(int index, const OutputParts& parts, const infer::TextEnd& end,
                      int calls) const;
  Json usage_chunk(const std::vector<Answer>& answers) const;

 private:
  Json envelope(bool chunk) const;
  std::string call_prefix(int index) const;
  Json whole_chat(int index, const Answer& answer) const;
  Json choice(int index, Json content, Json logprobs, Json finish_reason) const;
  Json logprobs(const std::vector<infer::TextPiece>& pieces, int64_t text_offset) const;
  Json completion_logprobs(const std::vector<infer::TextPiece>& pieces, int64_t text_offset) const;
  Json chat_logprobs(const std::vector<infer::TextPiece>& pieces) const;
  Json prompt_logprobs(const Answer& answer) const;
  void add_experts(const std::vector<infer::TextPiece>& pieces, Json& content) const;
  Json experts(const std::vector<infer::TextPiece>& pieces, int half) const;
  std::string token_text(int32_t id) const;

  const Service& service_;
  ApiKind kind_;
  bool wants_logprobs_, wants_prompt_logprobs_, wants_experts_, wants_plain_topk_;
  size_t num_logprobs_, num_prompt_logprobs_;
  int answers_per_prompt_;
  int64_t layers_, top_k_;
  std::string id_;
};

/// {"prompt_tokens", "completion_tokens", "total_tokens"} with details; a prompt counts once for
/// its n answers.
Json usage(const std::vector<Answer>& answers, int answers_per_prompt);

/// A token with its log-probability and the likeliest ones; llama.cpp's form has their ids, too.
Json token_logprobs(const Tokenizer& tokenizer, const infer::TextPiece& piece, bool with_ids);
/// Of a text in whole characters: text_offset counts them, not bytes.
int64_t count_characters(std::string_view text);
/// llama.cpp's timings of one answer.
Json timings(const infer::FinishEvent& finish);

/// GET /v1/models
Json model_list(const Service& service);

/// JSON text; what is no UTF-8 becomes U+FFFD.
std::string dump(const Json& json);

}  // namespace moge::serve
