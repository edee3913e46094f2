// Calls of tools: texts that match, texts that do not, schemas that cannot be followed.
#include "moge/grammar/tool_calls.h"

#include <gtest/gtest.h>

#include "moge/grammar/test_vocabulary.h"

namespace moge::grammar {
namespace {

/// Two tools; both schemas define "item", each in its own way.
ToolCalls two_tools() {
  return {.tools = {{"add", R"({"type":"object","properties":{"a":{"$ref":"#/$defs/item"}},
                               "required":["a"],"$defs":{"item":{"type":"integer"}}})"},
                    {"add_text", R"({"type":"object","properties":{"a":{"$ref":"#/$defs/item"}},
                                    "required":["a"],"$defs":{"item":{"enum":["x"]}}})"}}};
}

OutputFormat format_of(ToolCalls calls) {
  return {.kind = OutputFormat::Kind::kToolCalls, .calls = std::move(calls)};
}

TEST(ToolCalls, EachToolHasItsOwnSchema) {
  const auto grammar = compile(format_of(two_tools()));
  for (const char* text : {R"({"name": "add", "arguments": {"a": 1}})",
                           R"({"name":"add_text","arguments":{"a":"x"}})"})
    EXPECT_TRUE(matches(*grammar, text)) << text;
  for (const char* text :
       {R"({"name": "add", "arguments": {"a": "x"}})", R"({"name": "add", "arguments": {}})",
        R"({"name": "other", "arguments": {"a": 1}})", R"({"name": "add_text"})", "", "{}",
        R"({"name":"add","arguments":{"a":1}}{"name":"add","arguments":{"a":1}})"})
    EXPECT_FALSE(matches(*grammar, text)) << text;
}

TEST(ToolCalls, SeveralStandBetweenTheirMarkers) {
  ToolCalls calls = two_tools();
  calls.arguments_key = "parameters";
  calls.before = "<call>[";
  calls.between = ", ";
  calls.after = "]</call>";
  calls.most = 2;
  const auto grammar = compile(format_of(calls));
  const std::string one = R"({"name": "add", "parameters": {"a": 1}})";
  const auto text = [&](const std::string& inside) { return "<call>[" + inside + "]</call>"; };
  EXPECT_TRUE(matches(*grammar, text(one)));
  EXPECT_TRUE(matches(*grammar, text(one + ", " + one)));
  EXPECT_FALSE(matches(*grammar, text("")));
  EXPECT_FALSE(matches(*grammar, text(one + ", " + one + ", " + one)));
  EXPECT_FALSE(matches(*grammar, one));
}

TEST(ToolCalls, RandomTextsAreCalls) {
  const auto vocabulary = test_vocabulary();
  const auto grammar = compile(format_of(two_tools()), vocabulary);
  std::mt19937_64 rng(3);
  for (int i = 0; i < 20; ++i) {
    const Walk walk = random_walk(grammar, *vocabulary, rng, 200);
    ASSERT_TRUE(walk.stopped) << walk.text;
    EXPECT_TRUE(matches(*grammar, walk.text)) << walk.text;
  }
}

TEST(ToolCalls, WhatCannotBeFollowedIsNamed) {
  ToolCalls calls = two_tools();
  calls.tools[1].schema = R"({"not":{}})";
  const std::string message = message_of([&] { compile(format_of(calls)); });
  EXPECT_NE(message.find("add_text"), std::string::npos) << message;
  EXPECT_NE(message.find("keyword not"), std::string::npos) << message;
  EXPECT_EQ(message_of([] { compile(format_of({})); }), "there is no tool to call");
}

}  // namespace
}  // namespace moge::grammar
