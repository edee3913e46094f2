#include "moge/serve/chat_message.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace moge::serve {
namespace {

using Kind = OutputPart::Kind;
const OutputParts kParts = {{Kind::kReasoning, "hm", 0},     {Kind::kContent, "I ask.", 0},
                            {Kind::kCallName, "f", 0},       {Kind::kCallArguments, "{\"a\":", 0},
                            {Kind::kCallArguments, "1}", 0}, {Kind::kCallName, "g", 1},
                            {Kind::kCallArguments, "{}", 1}};

TEST(ChatMessage, WholeAnswerWithReasoningAndCalls) {
  const auto message = chat_message(kParts, "call_x_");
  EXPECT_EQ(message["content"], "I ask.");
  EXPECT_EQ(message["reasoning_content"], "hm");
  ASSERT_EQ(message["tool_calls"].size(), 2u);
  const auto& call = message["tool_calls"][0];
  EXPECT_EQ(call["id"], "call_x_0");
  EXPECT_EQ(call["type"], "function");
  EXPECT_EQ(call["function"]["name"], "f");
  EXPECT_EQ(call["function"]["arguments"], R"({"a":1})");
  EXPECT_FALSE(call.contains("index"));
  EXPECT_EQ(chat_message({}, "c")["content"], "");
  EXPECT_TRUE(chat_message({{Kind::kCallName, "f", 0}}, "c")["content"].is_null());
}

TEST(ChatMessage, DeltasJoinToTheWhole) {
  std::string arguments;
  for (const OutputPart& part : kParts) {
    const auto delta = chat_delta({part}, "call_x_");
    if (!delta.contains("tool_calls") || part.call != 0) continue;
    EXPECT_EQ(delta["tool_calls"][0]["index"], 0);
    EXPECT_EQ(delta["tool_calls"][0].contains("id"), part.kind == Kind::kCallName);
    arguments += delta["tool_calls"][0]["function"]["arguments"].get<std::string>();
  }
  EXPECT_EQ(arguments, R"({"a":1})");
  EXPECT_EQ(chat_delta(kParts, "c")["tool_calls"][1]["index"], 1);
  EXPECT_TRUE(chat_delta({}, "c").empty());
}

}  // namespace
}  // namespace moge::serve
