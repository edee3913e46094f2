// moge generate: one prompt, its continuation streamed as it is made.
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>

#include "cli.h"
#include "commands.h"
#include "model_session.h"
#include "moge/core/error.h"
#include "moge/core/files.h"
#include "moge/infer/text_sink.h"
#include "sampling_options.h"

namespace moge {

namespace {

struct GenerateOptions {
  EngineChoice engine;
  SamplingOptions sampling;
  std::string prompt, file;
  bool no_special = false;

  void visit(FieldList& v) {
    engine.visit(v);
    v("prompt", prompt, "the text to continue").letter('p').called("TEXT");
    v("file", file, "a file whose text is the prompt").letter('f').called("FILE");
    v("no-special", no_special, "no begin-of-text token before the prompt");
    sampling.visit(v);
  }
};

/// What came of a prompt, complete once `ended`.
struct Outcome {
  std::mutex mutex;
  std::condition_variable changed;
  bool ended = false;
  std::string text;
  std::vector<infer::TextPiece> pieces;
  infer::TextEnd end;
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

double rate(int64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0.0;
}

nlohmann::ordered_json to_json(const Tokenizer& tokenizer, const std::vector<int32_t>& prompt,
                               const Outcome& outcome, bool with_logprobs) {
  std::vector<int32_t> ids;
  for (const infer::TextPiece& piece : outcome.pieces) ids.push_back(piece.id);
  const infer::FinishEvent& finish = outcome.end.finish;
  return {
      {"text", outcome.text},
      {"token_ids", ids},
      {"prompt_token_ids", prompt},
      {"finish_reason", infer::name_of(finish.reason)},
      {"logprobs", with_logprobs ? logprobs_json(tokenizer, outcome) : nlohmann::ordered_json()},
      {"timings",
       {{"prompt_tok_s", rate(finish.prompt_tokens, finish.prompt_s)},
        {"decode_tok_s", rate(finish.output_tokens - 1, finish.decode_s)}}}};
}

std::shared_ptr<infer::TextSink> make_sink(const Tokenizer& tokenizer,
                                           const infer::SamplingParams& sampling, Outcome& outcome,
                                           const Run& run) {
  const auto show = [&outcome, &run](const std::string& text) {
    if (!run.json()) run.out(text);
    outcome.text += text;
  };
  return std::make_shared<infer::TextSink>(
      tokenizer, sampling.stop,
      [&outcome, &run, show](infer::TextPiece piece) {
        show(piece.text);
        outcome.pieces.push_back(std::move(piece));
        return !run.stop().requested();
      },
      [&outcome, show](infer::TextEnd end) {
        show(end.text);
        std::lock_guard lock(outcome.mutex);
        outcome.end = std::move(end);
        outcome.ended = true;
        outcome.changed.notify_all();
      });
}

void generate(GenerateOptions& options, Run& run) {
  if (options.prompt.empty() == options.file.empty())
    throw UsageError("pass either --prompt or --file");
  if (!options.file.empty()) options.prompt = read_file(options.file, 64 << 20);
  options.engine.max_num_seqs = 1;
  run.stop();
  ModelSession session(options.engine, run);
  infer::Request request{.prompt = session.tokenizer().encode(options.prompt, !options.no_special),
                         .sampling = options.sampling.params(run.common().seed)};
  const std::vector<int32_t> prompt = request.prompt;
  const bool with_logprobs = request.sampling.num_logprobs >= 0;
  Outcome outcome;
  const auto sink = make_sink(session.tokenizer(), request.sampling, outcome, run);
  if (!run.json()) run.out(options.prompt);
  session.engine().submit(std::move(request), sink);
  std::unique_lock lock(outcome.mutex);
  outcome.changed.wait(lock, [&] { return outcome.ended; });
  check(outcome.end.finish.reason != infer::FinishReason::kError, "{}", outcome.end.finish.error);
  if (run.json())
    run.result(to_json(session.tokenizer(), prompt, outcome, with_logprobs));
  else
    run.out("\n");
}

}  // namespace

void add_generate(Cli& cli) { cli.add<GenerateOptions>("generate", "Continue a prompt", generate); }

}  // namespace moge
