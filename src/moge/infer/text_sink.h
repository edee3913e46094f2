// From the engine's tokens to text as it may be shown: whole characters, nothing of a stop string.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "moge/infer/engine.h"
#include "moge/infer/stop_filter.h"
#include "moge/text/tokenizer.h"

namespace moge::infer {

/// What one token adds. `text` may be empty: a character or a possible stop string is incomplete.
struct TextPiece {
  std::string text;
  int32_t id = -1;
  float logprob = 0;
  int64_t rank = 0;  ///< as Sample's, of a prompt's token
  std::vector<TokenLogprob> top;
  std::vector<int32_t> experts_LK;  ///< as TokenEvent's; empty unless asked for
  bool of_prompt = false;           ///< echoed; its first token's logprob is NaN
};

/// The end: the text that was still held back, why, and the counts.
struct TextEnd {
  std::string text;
  std::string stop;  ///< the stop string that was met, if any
  FinishEvent finish;
};

/// Calls back on the engine's thread.
class TextSink final : public Sink {
 public:
  using OnPiece = std::function<bool(TextPiece piece)>;  ///< false ends the request
  using OnEnd = std::function<void(TextEnd end)>;

  /// `skip_special` leaves out control tokens; without it the text has them by name.
  TextSink(const Tokenizer& tokenizer, std::vector<std::string> stops, OnPiece on_piece,
           OnEnd on_end, bool skip_special = true);
  /// Hands on the prompt's first tokens as one piece, before the request is submitted; those that
  /// follow come with their log-probabilities (Request::prompt_logprobs).
  void echo(std::span<const int32_t> first_ids);
  void on_prompt(int64_t position, const Sample& sample) override;
  bool on_token(const TokenEvent& event) override;
  void on_finish(const FinishEvent& event) override;

 private:
  std::string rest_of_prompt();

  StreamDecoder prompt_decoder_, decoder_;
  bool echoes_ = false;  // the prompt, whose end has not been flushed
  StopFilter filter_;
  OnPiece on_piece_;
  OnEnd on_end_;
};

}  // namespace moge::infer
