#include "moge/serve/reasoning_parser.h"

#include <array>
#include <utility>

namespace moge::serve {

namespace {

constexpr std::array<ReasoningForm, 3> kForms = {
    ReasoningForm{.name = "qwen3", .begin = "<think>", .end = "</think>"},
    ReasoningForm{.name = "deepseek_r1", .begin = "<think>", .end = "</think>", .from_start = true},
    ReasoningForm{.name = "pangu", .begin = "[unused16]", .end = "[unused17]"}};

size_t leading_space(std::string_view text) {
  const size_t first = text.find_first_not_of(kWhiteSpace);
  return first == std::string_view::npos ? text.size() : first;
}

}  // namespace

const ReasoningForm* find_reasoning_form(std::string_view name) {
  for (const ReasoningForm& form : kForms)
    if (form.name == name) return &form;
  return nullptr;
}

std::string ReasoningParser::push(std::string_view text, OutputParts& parts) {
  pending_ += text;
  if (state_ == State::kBegin) look_for_begin();
  if (state_ == State::kReasoning) look_for_end(parts);
  if (state_ != State::kAnswer) return {};
  if (!answered_ && marked_) pending_.erase(0, leading_space(pending_));  // behind the end marker
  answered_ |= !pending_.empty();
  return std::exchange(pending_, {});
}

void ReasoningParser::look_for_begin() {
  const std::string_view text = std::string_view(pending_).substr(leading_space(pending_));
  if (text.starts_with(form_.begin)) {
    pending_.erase(0, static_cast<size_t>(text.data() - pending_.data()) + form_.begin.size());
    state_ = State::kReasoning;
    marked_ = true;
  } else if (!form_.begin.starts_with(text)) {
    state_ = inside_at_start_ ? State::kReasoning : State::kAnswer;
    marked_ = inside_at_start_;
  }
}

void ReasoningParser::look_for_end(OutputParts& parts) {
  const size_t end = pending_.find(form_.end);
  if (end != std::string::npos) {
    show(without_trailing_space(std::string_view(pending_).substr(0, end)), parts);
    pending_.erase(0, end + form_.end.size());
    state_ = State::kAnswer;
    return;
  }
  const size_t held = possible_beginning(pending_, form_.end);
  const std::string text(
      without_trailing_space(std::string_view(pending_).substr(0, pending_.size() - held)));
  if (text.empty()) return;
  show(text, parts);
  pending_.erase(0, text.size());
}

void ReasoningParser::show(std::string_view text, OutputParts& parts) {
  if (!begun_) text.remove_prefix(leading_space(text));
  if (text.empty()) return;
  begun_ = true;
  parts.push_back({.kind = OutputPart::Kind::kReasoning, .text = std::string(text)});
}

std::string ReasoningParser::finish(OutputParts& parts) {
  if (state_ == State::kReasoning) {
    show(std::exchange(pending_, {}), parts);
    return {};
  }
  return std::exchange(pending_, {});
}

}  // namespace moge::serve
