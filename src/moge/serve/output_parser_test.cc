#include "moge/serve/output_parser.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace moge::serve {
namespace {

/// "R:..." reasoning, "C:..." content, "F0:name" and "A0:..." of calls; neighbours are joined.
std::string told(const OutputParts& parts) {
  std::string text, last;
  for (const OutputPart& part : parts) {
    const char* names[] = {"C:", "R:", "F", "A"};
    std::string label = names[static_cast<int>(part.kind)];
    if (part.kind >= OutputPart::Kind::kCallName) label += std::to_string(part.call) + ":";
    if (label != last) text += (text.empty() ? "" : "|") + label;
    last = label;
    text += part.text;
  }
  return text;
}

/// Parses the text in pieces of `size` bytes; 0: random sizes.
std::string parse(const OutputForm& form, std::string_view text, size_t size) {
  static std::minstd_rand random(7);
  OutputParser parser(form);
  OutputParts parts;
  while (!text.empty()) {
    const size_t n = std::min(text.size(), size > 0 ? size : 1 + random() % 9);
    for (OutputPart& part : parser.push(text.substr(0, n))) parts.push_back(std::move(part));
    text.remove_prefix(n);
  }
  for (OutputPart& part : parser.finish()) parts.push_back(std::move(part));
  return told(parts);
}

/// The same whatever the pieces.
void expect_parts(const OutputForm& form, std::string_view text, const std::string& want) {
  for (size_t size : {1, 2, 3, 5, 1000, 0, 0, 0})
    EXPECT_EQ(parse(form, text, size), want) << size << " bytes of " << text;
}

TEST(OutputParser, HermesCallsWithTextAround) {
  const OutputForm form{.tools = find_tool_form("hermes")};
  expect_parts(form, "plain < text", "C:plain < text");
  expect_parts(form, "<tool_cal", "C:<tool_cal");
  expect_parts(form,
               "Look.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, \"}\"]}}\n"
               "</tool_call>\n<tool_call>{\"arguments\":{ },\"name\":\"g\"}</tool_call>",
               R"(C:Look.|F0:f|A0:{"a": [1, "}"]}|F1:g|A1:{ })");
  expect_parts(form, "<tool_call>{\"name\":\"f\"}</tool_call>\nDone.", "F0:f|A0:{}|C:\nDone.");
  expect_parts(form,
               R"(<tool_call>{"name":"f","arguments":"{\"a\":\"</tool_call>\"}"}</tool_call>)",
               R"(F0:f|A0:{"a":"</tool_call>"})");
}

TEST(OutputParser, BrokenCallsAreShownAsFarAsTheyGo) {
  const OutputForm form{.tools = find_tool_form("hermes")};
  expect_parts(form, "<tool_call>{\"a\":1}</tool_call>", "C:{\"a\":1}");
  expect_parts(form, "<tool_call>{\"nam", "C:{\"nam");
  expect_parts(form, "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":</tool_call>x",
               "F0:f|A0:{\"a\":|C:x");
  expect_parts(form, "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\": 1", "F0:f|A0:{\"a\": 1");
  expect_parts(form, "<tool_call>hm</tool_call> end", "C: end");
}

TEST(OutputParser, LlamaCallsAreTheWholeText) {
  const OutputForm form{.tools = find_tool_form("llama3_json")};
  expect_parts(form, R"({"name": "f", "parameters": {"a": 1}})", R"(F0:f|A0:{"a": 1})");
  expect_parts(form, "<|python_tag|>{\"name\":\"f\",\"parameters\":{}}; {\"name\":\"g\"}",
               "F0:f|A0:{}|F1:g|A1:{}");
  expect_parts(form, "Well {\"name\":\"f\"}", "C:Well {\"name\":\"f\"}");
  expect_parts(form, "{\"x\":2} and so on", "C:{\"x\":2} and so on");
}

TEST(OutputParser, PanguListsOfCallsAfterReasoning) {
  const OutputForm form{.reasoning = find_reasoning_form("pangu"),
                        .tools = find_tool_form("pangu")};
  expect_parts(form,
               "[unused16]Let me see.\n[unused17]\nI ask.[unused11][{\"name\":\"f\",\"arguments\":"
               "{\"a\":1}}, {\"name\":\"g\",\"arguments\":{}}][unused12]",
               R"(R:Let me see.|C:I ask.|F0:f|A0:{"a":1}|F1:g|A1:{})");
  const OutputForm one{.tools = find_tool_form("pangu"), .one_call = true};
  expect_parts(one, "[unused11][{\"name\":\"f\"},{\"name\":\"g\"}][unused12]", "F0:f|A0:{}");
}

TEST(OutputParser, ReasoningInThinkTags) {
  const OutputForm form{.reasoning = find_reasoning_form("qwen3")};
  expect_parts(form, "<think>\nHm, </thin</think>\n\nYes. </think>",
               "R:Hm, </thin|C:Yes. </think>");
  expect_parts(form, "No thought, <think> later", "C:No thought, <think> later");
  expect_parts(form, " <thin", "C: <thin");
  expect_parts(form, "<think>\n\n</think>\n\nYes", "C:Yes");
  expect_parts(form, "<think>never ends", "R:never ends");
  const OutputForm open{.reasoning = form.reasoning, .reasoning_open = true};
  expect_parts(open, "so\n</think>yes", "R:so|C:yes");
  const OutputForm r1{.reasoning = find_reasoning_form("deepseek_r1")};
  expect_parts(r1, "so</think>yes", "R:so|C:yes");
  expect_parts(r1, "<think>so</think>yes", "R:so|C:yes");
}

TEST(OutputParser, FormsByNameAndByTemplate) {
  EXPECT_EQ(find_tool_form("other"), nullptr);
  EXPECT_EQ(find_reasoning_form("other"), nullptr);
  EXPECT_EQ(tool_form_of_template("... <tool_call> ...")->name, "hermes");
  EXPECT_EQ(tool_form_of_template("{{ messages }}"), nullptr);
}

}  // namespace
}  // namespace moge::serve
