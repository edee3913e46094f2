// moge chat: a conversation on the terminal.
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli.h"
#include "commands.h"
#include "model_session.h"
#include "moge/core/error.h"
#include "moge/infer/pending.h"
#include "sampling_options.h"

namespace moge {

namespace {

struct ChatOptions {
  EngineChoice engine;
  SamplingOptions sampling;
  std::string system;

  void visit(FieldList& v) {
    engine.visit(v);
    v("system", system, "the system prompt").called("TEXT");
    sampling.visit(v);
  }
};

/// Runs one request to its end, showing the text as it comes; returns all of it.
std::string answer(ModelSession& session, infer::Request request, Run& run) {
  std::string text;
  const auto show = [&](const std::string& piece) {
    run.out(piece);
    text += piece;
  };
  const infer::TextEnd end = infer::run_to_end(session.engine(), session.tokenizer(),
                                               std::move(request), [&](infer::TextPiece piece) {
                                                 show(piece.text);
                                                 return !run.stop().requested();
                                               });
  show(end.text);
  return text;
}

std::vector<int32_t> render(const ModelSession& session, const nlohmann::ordered_json& messages) {
  const text::ChatOptions options{.add_generation_prompt = true};
  const std::string text = session.chat_template()->render(messages, nullptr, options);
  return session.tokenizer().encode(text, /*add_special=*/false);
}

void chat(ChatOptions& options, Run& run) {
  StopFlag& stop = run.stop();
  options.engine.max_num_seqs = 1;
  ModelSession session(options.engine, run);
  check(session.chat_template() != nullptr, "{} has no chat template: use moge generate",
        session.name());
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  if (!options.system.empty())
    messages.push_back({{"role", "system"}, {"content", options.system}});
  run.note("Type a message; an empty line or Ctrl-D ends the conversation.");
  for (std::string line; !stop.requested();) {
    if (!run.common().quiet) run.out("> ");
    if (!std::getline(std::cin, line) || line.empty()) break;
    messages.push_back({{"role", "user"}, {"content", line}});
    infer::Request request{.prompt = render(session, messages),
                           .sampling = options.sampling.params(run.common().seed)};
    const std::string text = answer(session, std::move(request), run);
    run.out(text.ends_with('\n') ? "" : "\n");
    messages.push_back({{"role", "assistant"}, {"content", text}});
  }
}

}  // namespace

void add_chat(Cli& cli) { cli.add<ChatOptions>("chat", "Talk with a model on the terminal", chat); }

}  // namespace moge
