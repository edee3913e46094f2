#include "moge/infer/text_sink.h"

#include <utility>

namespace moge::infer {

TextSink::TextSink(const Tokenizer& tokenizer, std::vector<std::string> stops, OnPiece on_piece,
                   OnEnd on_end, bool skip_special)
    : decoder_(tokenizer, skip_special),
      filter_(std::move(stops)),
      on_piece_(std::move(on_piece)),
      on_end_(std::move(on_end)) {}

bool TextSink::on_token(const TokenEvent& event) {
  const Sample& sample = event.sample;
  const bool wanted = on_piece_({.text = filter_.push(decoder_.push(sample.id)),
                                 .id = sample.id,
                                 .logprob = sample.logprob,
                                 .top = sample.top,
                                 .experts_LK = {event.experts_LK.begin(), event.experts_LK.end()}});
  return wanted && filter_.met().empty();
}

void TextSink::on_finish(const FinishEvent& event) {
  std::string rest = filter_.push(decoder_.flush());
  if (filter_.met().empty()) rest += filter_.flush();
  on_end_({.text = std::move(rest), .stop = filter_.met(), .finish = event});
}

}  // namespace moge::infer
