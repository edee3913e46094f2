#include "moge/infer/pending.h"

#include <condition_variable>
#include <mutex>
#include <utility>

namespace moge::infer {

struct PendingRequests::Progress {
  std::mutex mutex;
  std::condition_variable changed;
  int64_t ended = 0;
  std::string error;
};

PendingRequests::PendingRequests(Engine& engine, const Tokenizer& tokenizer)
    : engine_(engine), tokenizer_(tokenizer), progress_(std::make_shared<Progress>()) {}

void PendingRequests::submit(Request request, TextSink::OnPiece on_piece, TextSink::OnEnd on_end) {
  const auto note_end = [progress = progress_, on_end = std::move(on_end)](TextEnd end) {
    const std::string error = end.finish.error;
    on_end(std::move(end));
    std::lock_guard lock(progress->mutex);
    if (!error.empty()) progress->error = error;
    ++progress->ended;
    progress->changed.notify_all();
  };
  auto sink =
      std::make_shared<TextSink>(tokenizer_, request.sampling.stop, std::move(on_piece), note_end);
  engine_.submit(std::move(request), std::move(sink));
}

int64_t PendingRequests::wait_for(int64_t ended) {
  std::unique_lock lock(progress_->mutex);
  progress_->changed.wait(lock, [&] { return progress_->ended >= ended; });
  check(progress_->error.empty(), "{}", progress_->error);
  return progress_->ended;
}

TextEnd run_to_end(Engine& engine, const Tokenizer& tokenizer, Request request,
                   TextSink::OnPiece on_piece) {
  TextEnd result;
  PendingRequests pending(engine, tokenizer);
  pending.submit(std::move(request), std::move(on_piece),
                 [&result](TextEnd end) { result = std::move(end); });
  pending.wait_for(1);
  return result;
}

}  // namespace moge::infer
