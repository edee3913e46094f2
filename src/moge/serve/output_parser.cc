#include "moge/serve/output_parser.h"

#include <algorithm>

namespace moge::serve {

OutputParser::OutputParser(const OutputForm& form) : form_(form) {
  if (form.reasoning) reasoning_.emplace(*form.reasoning, form.reasoning_open);
  if (form.tools) tools_.emplace(*form.tools);
}

OutputParts OutputParser::push_token(std::string_view text) {
  tokens_before_answer_ += reasoning_ && !reasoning_->over();
  return push(text);
}

int64_t OutputParser::reasoning_tokens() const {
  return reasoning_ && reasoning_->found() ? tokens_before_answer_ : 0;
}

OutputParts OutputParser::push(std::string_view text) {
  OutputParts parts;
  if (reasoning_) {
    answer(reasoning_->push(text, parts), parts);
  } else {
    answer(text, parts);
  }
  return kept(std::move(parts));
}

OutputParts OutputParser::finish() {
  OutputParts parts;
  if (reasoning_) answer(reasoning_->finish(parts), parts);
  if (tools_) tools_->finish(parts);
  return kept(std::move(parts));
}

void OutputParser::answer(std::string_view text, OutputParts& parts) {
  if (tools_) {
    tools_->push(text, parts);
  } else if (!text.empty()) {
    parts.push_back({.text = std::string(text)});
  }
}

int OutputParser::calls() const {
  const int calls = tools_ ? tools_->calls() : 0;
  return form_.one_call ? std::min(1, calls) : calls;
}

OutputParts OutputParser::kept(OutputParts parts) const {
  if (form_.one_call) std::erase_if(parts, [](const OutputPart& part) { return part.call > 0; });
  return parts;
}

}  // namespace moge::serve
