// moge generate: one prompt, its continuation streamed as it is made.
#include <nlohmann/json.hpp>

#include "cli.h"
#include "commands.h"
#include "model_session.h"
#include "moge/core/error.h"
#include "moge/core/files.h"
#include "moge/infer/pending.h"
#include "output_options.h"
#include "sampling_options.h"

namespace moge {

namespace {

struct GenerateOptions {
  EngineChoice engine;
  SamplingOptions sampling;
  OutputOptions output;
  std::string prompt, file;
  bool no_special = false;

  void visit(FieldList& v) {
    engine.visit(v);
    v("prompt", prompt, "the text to continue").letter('p').called("TEXT");
    v("file", file, "a file whose text is the prompt").letter('f').called("FILE");
    v("no-special", no_special, "no begin-of-text token before the prompt");
    sampling.visit(v);
    output.visit(v);
  }
};

/// What came of a prompt.
struct Outcome {
  std::string text;
  std::vector<infer::TextPiece> pieces;
  infer::FinishEvent finish;
};

nlohmann::ordered_json logprobs_json(const Tokenizer& tokenizer, const Outcome& outcome) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  const auto text_of = [&](int32_t id) { return tokenizer.decode(std::span(&id, 1), false); };
  for (const infer::TextPiece& piece : outcome.pieces) {
    nlohmann::ordered_json top = nlohmann::ordered_json::array();
    for (const infer::TokenLogprob& other : piece.top)
      top.push_back({{"id", other.id}, {"token", text_of(other.id)}, {"logprob", other.logprob}});
    list.push_back({{"id", piece.id},
                    {"token", text_of(piece.id)},
                    {"logprob", piece.logprob},
                    {"top_logprobs", std::move(top)}});
  }
  return list;
}

nlohmann::ordered_json to_json(const Tokenizer& tokenizer, const std::vector<int32_t>& prompt,
                               const Outcome& outcome, bool with_logprobs) {
  std::vector<int32_t> ids;
  for (const infer::TextPiece& piece : outcome.pieces) ids.push_back(piece.id);
  const infer::FinishEvent& finish = outcome.finish;
  return {
      {"text", outcome.text},
      {"token_ids", ids},
      {"prompt_token_ids", prompt},
      {"finish_reason", infer::name_of(finish.reason)},
      {"logprobs", with_logprobs ? logprobs_json(tokenizer, outcome) : nlohmann::ordered_json()},
      {"timings",
       {{"prompt_tok_s", finish.prompt_tok_s()}, {"decode_tok_s", finish.decode_tok_s()}}}};
}

/// Runs the request, showing the text as it comes unless JSON is asked for.
Outcome complete(ModelSession& session, infer::Request request, const Run& run) {
  Outcome outcome;
  const auto show = [&](const std::string& text) {
    if (!run.json()) run.out(text);
    outcome.text += text;
  };
  infer::TextEnd end = infer::run_to_end(session.engine(), session.tokenizer(), std::move(request),
                                         [&](infer::TextPiece piece) {
                                           show(piece.text);
                                           outcome.pieces.push_back(std::move(piece));
                                           return !run.stop().requested();
                                         });
  show(end.text);
  outcome.finish = std::move(end.finish);
  return outcome;
}

void generate(GenerateOptions& options, Run& run) {
  if (options.prompt.empty() == options.file.empty())
    throw UsageError("pass either --prompt or --file");
  if (!options.file.empty()) options.prompt = read_file(options.file, 64 << 20);
  options.engine.max_num_seqs = 1;
  run.stop();
  ModelSession session(options.engine, run);
  infer::Request request{.prompt = session.tokenizer().encode(options.prompt, !options.no_special),
                         .sampling = options.sampling.params(run.common().seed),
                         .constraint = options.output.constraint(session)};
  const std::vector<int32_t> prompt = request.prompt;
  const bool with_logprobs = request.sampling.num_logprobs >= 0;
  if (!run.json()) run.out(options.prompt);
  const Outcome outcome = complete(session, std::move(request), run);
  if (run.json())
    run.result(to_json(session.tokenizer(), prompt, outcome, with_logprobs));
  else
    run.out("\n");
}

}  // namespace

void add_generate(Cli& cli) { cli.add<GenerateOptions>("generate", "Continue a prompt", generate); }

}  // namespace moge
