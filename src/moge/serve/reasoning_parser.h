// The reasoning that a model writes before its answer.
#pragma once

#include <string>
#include <string_view>

#include "moge/serve/output_part.h"

namespace moge::serve {

struct ReasoningForm {
  std::string_view name;  ///< of --reasoning-parser
  std::string_view begin, end;
  bool from_start = false;  ///< the text begins inside, with or without the marker
};

/// qwen3 and deepseek_r1 (think tags), pangu (its unused tokens); null for another name.
const ReasoningForm* find_reasoning_form(std::string_view name);

/// Splits a text as it comes; nothing of a marker is ever shown, nor of white space beside one.
class ReasoningParser {
 public:
  /// `open`: the prompt has begun the reasoning.
  ReasoningParser(const ReasoningForm& form, bool open)
      : form_(form), inside_at_start_(open || form.from_start) {}
  /// Appends reasoning to `parts` and returns the text that belongs to the answer.
  std::string push(std::string_view text, OutputParts& parts);
  std::string finish(OutputParts& parts);
  bool over() const { return state_ == State::kAnswer; }
  bool found() const { return marked_; }  ///< there is reasoning, be it empty

 private:
  enum class State { kBegin, kReasoning, kAnswer };
  void look_for_begin();
  void look_for_end(OutputParts& parts);
  void show(std::string_view text, OutputParts& parts);

  const ReasoningForm& form_;
  State state_ = State::kBegin;
  std::string pending_;
  bool inside_at_start_;
  bool marked_ = false;    // a marker stands before the answer
  bool begun_ = false;     // some reasoning has been shown
  bool answered_ = false;  // some of the answer has been returned
};

}  // namespace moge::serve
