#include "moge/eval/solve.h"

#include <condition_variable>
#include <memory>
#include <mutex>

#include "moge/core/error.h"
#include "moge/infer/text_sink.h"

namespace moge::eval {

namespace {

/// What the engine's thread reports and the caller waits for.
struct Tally {
  std::mutex mutex;
  std::condition_variable changed;
  int64_t answered = 0, solved = 0;
  std::string error;
};

std::shared_ptr<infer::TextSink> make_sink(const Tokenizer& tokenizer, const Problem& problem,
                                           const std::shared_ptr<Tally>& tally) {
  auto text = std::make_shared<std::string>();
  // An answer is complete with the end of the line that names the number.
  const auto complete = [text] {
    const size_t mark = text->find("#### ");
    return mark != std::string::npos && text->find('\n', mark) != std::string::npos;
  };
  return std::make_shared<infer::TextSink>(
      tokenizer, std::vector<std::string>{},
      [text, complete](infer::TextPiece piece) {
        *text += piece.text;
        return !complete();
      },
      [text, tally, answer = problem.answer](infer::TextEnd end) {
        *text += end.text;
        std::lock_guard lock(tally->mutex);
        if (!end.finish.error.empty()) tally->error = end.finish.error;
        ++tally->answered;
        if (answer_in(*text) == answer) ++tally->solved;
        tally->changed.notify_all();
      });
}

}  // namespace

SolveResult solve(infer::Engine& engine, const Tokenizer& tokenizer,
                  std::span<const Problem> problems, int64_t max_tokens,
                  const std::function<void(int64_t)>& progress) {
  auto tally = std::make_shared<Tally>();
  const auto count = static_cast<int64_t>(problems.size());
  const auto wait_until = [&](int64_t answered) {
    std::unique_lock lock(tally->mutex);
    tally->changed.wait(lock, [&] { return tally->answered >= answered; });
    progress(tally->answered);
  };
  constexpr int64_t kInFlight = 1024;  // below the engine's longest queue
  int64_t submitted = 0;
  for (const Problem& problem : problems) {
    wait_until(submitted - kInFlight);
    engine.submit({.prompt = tokenizer.encode(problem.prompt, /*add_special=*/true),
                   .sampling = {.max_tokens = max_tokens}},
                  make_sink(tokenizer, problem, tally));
    ++submitted;
  }
  for (int64_t answered = 1; answered <= count; ++answered) wait_until(answered);
  check(tally->error.empty(), "{}", tally->error);
  return {.problems = count, .solved = tally->solved};
}

}  // namespace moge::eval
