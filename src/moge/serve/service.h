// What a server serves: a model with its tokenizer, chat template and engine. No sockets here.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "moge/config/model_config.h"
#include "moge/infer/engine.h"
#include "moge/infer/expert_recorder.h"
#include "moge/infer/text_sink.h"
#include "moge/serve/api_request.h"
#include "moge/serve/metrics.h"
#include "moge/serve/output_parser.h"
#include "moge/text/chat_template.h"
#include "moge/text/tokenizer.h"

namespace moge::serve {

/// A chat on its way into the engine.
class GrammarCompiler;
std::shared_ptr<GrammarCompiler> make_grammar_compiler();

struct PreparedChat {
  std::vector<int32_t> tokens;
  OutputForm form;
};

struct Service {
  std::string model_name;
  const ModelConfig& config;
  const Tokenizer& tokenizer;
  const text::ChatTemplate* chat_template;  ///< null: the model has none
  infer::Engine& engine;
  int64_t max_num_seqs = 1;                       ///< llama.cpp's slots
  std::vector<std::string> api_keys;              ///< any of them opens the API; none: it is open
  std::string isa;                                ///< of the kernels, for /metrics
  const ToolForm* tool_form = nullptr;            ///< of --tool-call-parser; null: none
  const ReasoningForm* reasoning_form = nullptr;  ///< of --reasoning-parser; null: none
  infer::ExpertRecorder* experts = nullptr;       ///< null: what they do is not counted
  std::shared_ptr<Metrics> metrics = std::make_shared<Metrics>();
  /// Of structured output; shared because it is known by name only here.
  std::shared_ptr<GrammarCompiler> grammars = make_grammar_compiler();
  std::time_t created = std::time(nullptr);
  /// After so long without an event a stream says that it lives: proxies close what is silent.
  std::chrono::milliseconds silence{15000};

  /// 404 unless `name` is empty or the served model's.
  void check_model(const std::string& name) const;
  /// Token ids of a prompt; 400 naming the field where an id does not fit.
  std::vector<int32_t> tokens_of(const Prompt& prompt) const;
  /// The chat as the template writes it; 400 with the template's own words.
  std::string text_of(const ChatRequest& request) const;
  /// Tokens of a chat that text_of has written.
  std::vector<int32_t> tokens_of_chat(std::string_view text) const;
  /// How the model writes calls; where that is not known, how it must when calls are demanded.
  const ToolForm& demanded_form() const;
  /// How to read the answers to a chat whose prompt is `text`; 501 for tools that the model may
  /// call without a parser.
  OutputForm output_form(const ChatRequest& request, std::string_view text) const;
  /// All that comes before generating; changes the request where its parser needs it. Throws
  /// ApiError.
  PreparedChat prepare(ChatRequest& request) const;
  /// Whether the parser's markers are control tokens, which the text must then keep.
  bool needs_special_tokens(const OutputForm& form) const;
  /// What one of a request's answers asks of the engine; fills in the default of max_tokens.
  infer::Request make_request(const GenerateRequest& request, std::vector<int32_t> prompt,
                              int answer) const;
  /// Engine::submit with its errors as ApiErrors (400, 429 with code "queue_full").
  infer::RequestId submit(infer::Request request, std::shared_ptr<infer::Sink> sink) const;
};

}  // namespace moge::serve
