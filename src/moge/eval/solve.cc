#include "moge/eval/solve.h"

#include <memory>
#include <string>

#include "moge/infer/pending.h"

namespace moge::eval {

namespace {

/// An answer is complete with the end of the line that names the number.
bool complete(const std::string& text) {
  const size_t mark = text.find("#### ");
  return mark != std::string::npos && text.find('\n', mark) != std::string::npos;
}

/// `solved` is counted on the engine's thread and read when all have ended.
void ask(infer::PendingRequests& pending, infer::Request request, const std::string& answer,
         const std::shared_ptr<int64_t>& solved) {
  auto text = std::make_shared<std::string>();
  pending.submit(
      std::move(request),
      [text](const infer::TextPiece& piece) {
        *text += piece.text;
        return !complete(*text);
      },
      [text, answer, solved](const infer::TextEnd& end) {
        *text += end.text;
        if (answer_in(*text) == answer) ++*solved;
      });
}

}  // namespace

SolveResult solve(infer::Engine& engine, const Tokenizer& tokenizer,
                  std::span<const Problem> problems, int64_t max_tokens,
                  const std::function<void(int64_t)>& progress) {
  infer::PendingRequests pending(engine, tokenizer);
  const auto solved = std::make_shared<int64_t>(0);
  const auto count = static_cast<int64_t>(problems.size());
  constexpr int64_t kInFlight = 1024;  // below the engine's longest queue
  int64_t submitted = 0;
  for (const Problem& problem : problems) {
    progress(pending.wait_for(submitted - kInFlight));
    ask(pending,
        {.prompt = tokenizer.encode(problem.prompt, /*add_special=*/true),
         .sampling = {.max_tokens = max_tokens}},
        problem.answer, solved);
    ++submitted;
  }
  for (int64_t ended = 1; ended <= count; ++ended) progress(pending.wait_for(ended));
  return {.problems = count, .solved = *solved};
}

}  // namespace moge::eval
