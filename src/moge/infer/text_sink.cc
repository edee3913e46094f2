#include "moge/infer/text_sink.h"

#include <limits>
#include <utility>

namespace moge::infer {

TextSink::TextSink(const Tokenizer& tokenizer, std::vector<std::string> stops, OnPiece on_piece,
                   OnEnd on_end, bool skip_special)
    : prompt_decoder_(tokenizer, skip_special),
      decoder_(tokenizer, skip_special),
      filter_(std::move(stops)),
      on_piece_(std::move(on_piece)),
      on_end_(std::move(on_end)) {}

void TextSink::echo(std::span<const int32_t> first_ids) {
  std::string text;
  for (int32_t id : first_ids) text += prompt_decoder_.push(id);
  echoes_ = true;
  on_piece_({.text = std::move(text),
             .id = first_ids.front(),
             .logprob = std::numeric_limits<float>::quiet_NaN(),
             .of_prompt = true});
}

void TextSink::on_prompt(int64_t, const Sample& sample) {
  on_piece_({.text = prompt_decoder_.push(sample.id),
             .id = sample.id,
             .logprob = sample.logprob,
             .rank = sample.rank,
             .top = sample.top,
             .of_prompt = true});
}

/// What the prompt's last tokens still hold back.
std::string TextSink::rest_of_prompt() {
  return std::exchange(echoes_, false) ? prompt_decoder_.flush() : std::string();
}

bool TextSink::on_token(const TokenEvent& event) {
  const Sample& sample = event.sample;
  const bool wanted = on_piece_({.text = rest_of_prompt() + filter_.push(decoder_.push(sample.id)),
                                 .id = sample.id,
                                 .logprob = sample.logprob,
                                 .top = sample.top,
                                 .experts_LK = {event.experts_LK.begin(), event.experts_LK.end()}});
  return wanted && filter_.met().empty();
}

void TextSink::on_finish(const FinishEvent& event) {
  std::string rest = rest_of_prompt();
  rest += filter_.push(decoder_.flush());
  if (filter_.met().empty()) rest += filter_.flush();
  on_end_({.text = std::move(rest), .stop = filter_.met(), .finish = event});
}

}  // namespace moge::infer
