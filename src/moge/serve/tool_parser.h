// Calls of tools in a model's text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "moge/serve/call_scanner.h"
#include "moge/serve/output_part.h"

namespace moge::serve {

/// How a model writes its calls.
struct ToolForm {
  std::string_view name;        ///< of --tool-call-parser
  std::string_view begin, end;  ///< around one call, or a list of them; no end: up to the text's
  bool bare = false;            ///< a text that begins with '{' is a call, too
  bool list = false;            ///< several calls are one list, not each between markers
  std::string_view arguments_key = "arguments";
};

/// hermes, llama3_json, pangu; null for another name.
const ToolForm* find_tool_form(std::string_view name);
/// The form whose marker stands in a chat template; null where none does.
const ToolForm* tool_form_of_template(std::string_view chat_template);

/// Splits a text as it comes; nothing of a marker is ever shown, nor of white space beside one.
class ToolParser {
 public:
  explicit ToolParser(const ToolForm& form) : form_(form) {}
  void push(std::string_view text, OutputParts& parts);
  void finish(OutputParts& parts);  ///< the text has ended: what was held back
  int calls() const { return calls_; }

 private:
  void push_outside(char c, OutputParts& parts);
  void push_between(char c);
  void push_in_call(char c, OutputParts& parts);
  void show_content(size_t held_back, OutputParts& parts);
  void show_call(OutputParts& parts);
  void leave_call(OutputParts& parts);

  const ToolForm& form_;
  std::string pending_;  // outside: text not shown yet; between calls: what may be the end marker
  std::optional<CallScanner> call_;
  bool inside_ = false, begun_ = false, named_ = false;
  int calls_ = 0;
};

}  // namespace moge::serve
