// Bodies of /v1/completions and /v1/chat/completions, checked field by field. No sockets here.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moge/infer/sampling.h"
#include "moge/serve/output_format_fields.h"

namespace moge::grammar {
class CompiledGrammar;
}

namespace moge::serve {

/// What both kinds of request share.
struct GenerateRequest {
  std::string model;
  infer::SamplingParams sampling;
  std::optional<int64_t> max_tokens;  ///< absent: as many as the context holds
  int n = 1;                          ///< answers per prompt
  int best_of = 1;                    ///< computed per prompt; the n likeliest are given
  bool echo = false;                  ///< the prompt's text and log-probabilities come first
  int prompt_logprobs = -1;           ///< vLLM's: alternatives to each token of the prompt
  int64_t priority = 0;               ///< vLLM's: lower goes first
  std::string cache_salt;             ///< vLLM's: who shares cached prefixes
  bool stream = false;
  bool include_usage = false;  ///< stream_options.include_usage
  bool return_routed_experts = false;
  bool return_plain_topk_experts = false;   ///< what plain top-K would have taken
  bool skip_special_tokens = true;          ///< leaves control tokens out of the text
  std::optional<AskedFormat> asked_format;  ///< structured output
  /// What asked_format was compiled to, by compile_output_format; shared by the answers.
  std::shared_ptr<const grammar::CompiledGrammar> grammar;
};

/// A prompt as text, or as token ids.
struct Prompt {
  std::string text;
  std::vector<int32_t> ids;
  bool is_ids = false;
};

struct CompletionRequest : GenerateRequest {
  std::vector<Prompt> prompts;
};

/// Whether the model may or must call tools; kNamed: the one called `name`.
struct ToolChoice {
  enum class Kind { kNone, kAuto, kRequired, kNamed };
  Kind kind = Kind::kNone;  ///< as without tools
  std::string name;
};

struct ChatRequest : GenerateRequest {
  std::string tools_json = "null";  ///< an array of {"type": "function", "function": {...}}
  ToolChoice tool_choice;
  bool parallel_tool_calls = true;
  std::string messages_json;  ///< an array of {"role", "content", ...}
  std::string template_kwargs_json = "{}";
  bool add_generation_prompt = true;
};

/// A text, or a chat that a template turns into one, for /tokenize and /apply-template.
struct TextRequest {
  std::string model, text;
  std::optional<ChatRequest> chat;
  bool add_special = true;   ///< add_special_tokens (vLLM, on), add_special (llama.cpp, off)
  bool with_pieces = false;  ///< return_token_strs (vLLM), with_pieces (llama.cpp)
  bool llama_form = false;   ///< the text came as `content`: the answer's shape follows
};

struct DetokenizeRequest {
  std::string model;
  std::vector<int32_t> ids;
};

constexpr size_t kMaxBodyBytes = size_t{16} << 20;

/// All throw ApiError: 400 with the field's name for what is wrong, 501 for a feature that this
/// server does not have.
CompletionRequest parse_completion_request(std::string_view body);
CompletionRequest completion_request_of(const nlohmann::ordered_json& body);
ChatRequest parse_chat_request(std::string_view body);
ChatRequest chat_request_of(const nlohmann::ordered_json& body);
TextRequest parse_text_request(std::string_view body);
DetokenizeRequest parse_detokenize_request(std::string_view body);

}  // namespace moge::serve
