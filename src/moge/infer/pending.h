// Requests run to their ends by a thread that has nothing else to do.
#pragma once

#include <cstdint>
#include <memory>

#include "moge/infer/engine.h"
#include "moge/infer/text_sink.h"

namespace moge::infer {

/// Requests on their way, and the wait for them. Callbacks run on the engine's thread.
class PendingRequests {
 public:
  PendingRequests(Engine& engine, const Tokenizer& tokenizer);

  void submit(Request request, TextSink::OnPiece on_piece, TextSink::OnEnd on_end);
  /// Returns how many have ended once these are at least `ended`; throws Error if one failed.
  int64_t wait_for(int64_t ended);

 private:
  struct Progress;
  Engine& engine_;
  const Tokenizer& tokenizer_;
  std::shared_ptr<Progress> progress_;  // shared with the sinks: they may outlive a failed wait
};

/// One request from its submission to its end; throws Error if it fails.
TextEnd run_to_end(Engine& engine, const Tokenizer& tokenizer, Request request,
                   TextSink::OnPiece on_piece);

}  // namespace moge::infer
