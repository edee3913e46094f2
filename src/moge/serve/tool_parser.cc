#include "moge/serve/tool_parser.h"

#include <array>

namespace moge::serve {

namespace {

constexpr std::array<ToolForm, 3> kForms = {
    ToolForm{.name = "hermes", .begin = "<tool_call>", .end = "</tool_call>"},
    ToolForm{.name = "llama3_json",
             .begin = "<|python_tag|>",
             .bare = true,
             .arguments_key = "parameters"},
    ToolForm{.name = "pangu", .begin = "[unused11]", .end = "[unused12]", .list = true}};

bool is_space(char c) { return kWhiteSpace.find(c) != std::string_view::npos; }

}  // namespace

size_t possible_beginning(std::string_view text, std::string_view marker) {
  for (size_t n = std::min(text.size(), marker.size() - 1); n > 0; --n)
    if (text.ends_with(marker.substr(0, n))) return n;
  return 0;
}

std::string_view without_trailing_space(std::string_view text) {
  const size_t last = text.find_last_not_of(kWhiteSpace);
  return last == std::string_view::npos ? "" : text.substr(0, last + 1);
}

const ToolForm* find_tool_form(std::string_view name) {
  for (const ToolForm& form : kForms)
    if (form.name == name) return &form;
  return nullptr;
}

const ToolForm* tool_form_of_template(std::string_view chat_template) {
  for (const ToolForm& form : kForms)
    if (chat_template.find(form.begin) != std::string_view::npos) return &form;
  return nullptr;
}

void ToolParser::push(std::string_view text, OutputParts& parts) {
  for (char c : text) {
    if (call_) {
      push_in_call(c, parts);
    } else if (inside_) {
      push_between(c);
    } else {
      push_outside(c, parts);
    }
  }
  if (call_) return show_call(parts);
  if (inside_) return;
  const size_t marker = possible_beginning(pending_, form_.begin);
  const std::string_view before = std::string_view(pending_).substr(0, pending_.size() - marker);
  show_content(pending_.size() - without_trailing_space(before).size(), parts);
}

void ToolParser::push_outside(char c, OutputParts& parts) {
  const bool first = !begun_ && !is_space(c);
  begun_ |= first;
  if (first && form_.bare && c == '{') {
    pending_.clear();
    inside_ = true;
    return push_between(c);
  }
  pending_ += c;
  if (!pending_.ends_with(form_.begin)) return;
  const size_t text = pending_.size() - form_.begin.size();
  show_content(
      pending_.size() - without_trailing_space(std::string_view(pending_).substr(0, text)).size(),
      parts);
  pending_.clear();
  inside_ = true;
}

/// Brackets and commas of a list, and line ends, stand between calls.
void ToolParser::push_between(char c) {
  if (c == '{') {
    pending_.clear();
    call_.emplace();
    call_->push(c);
    return;
  }
  pending_ += c;
  const bool over = form_.end.empty()
                        ? !is_space(c) && std::string_view("[],;").find(c) == std::string_view::npos
                        : pending_.ends_with(form_.end);
  if (!over) return;
  inside_ = false;
  if (!form_.end.empty()) pending_.clear();
}

void ToolParser::push_in_call(char c, OutputParts& parts) {
  call_->push(c);
  if (!call_->ended() && !call_->broken()) return;
  const bool again = call_->broken();  // the character may begin the end marker
  leave_call(parts);
  if (again && inside_) push_between(c);
}

void ToolParser::leave_call(OutputParts& parts) {
  show_call(parts);
  if (!named_) parts.push_back({.text = call_->raw()});  // an object that calls nothing is text
  calls_ += named_;
  named_ = false;
  call_.reset();
}

void ToolParser::show_call(OutputParts& parts) {
  using Kind = OutputPart::Kind;
  if (auto name = call_->take_name()) {
    named_ = true;
    parts.push_back({.kind = Kind::kCallName, .text = std::move(*name), .call = calls_});
  }
  if (std::string added = call_->take_arguments(); !added.empty())
    parts.push_back({.kind = Kind::kCallArguments, .text = std::move(added), .call = calls_});
}

void ToolParser::show_content(size_t held_back, OutputParts& parts) {
  const size_t shown = pending_.size() - held_back;
  if (shown == 0) return;
  parts.push_back({.text = pending_.substr(0, shown)});
  pending_.erase(0, shown);
}

void ToolParser::finish(OutputParts& parts) {
  if (call_) {
    leave_call(parts);
  } else if (!inside_) {
    show_content(0, parts);
  }
}

}  // namespace moge::serve
