// /v1/messages and /v1/responses: their requests as chats, their answers, over real sockets too.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "moge/serve/api_error.h"
#include "moge/serve/messages_api.h"
#include "moge/serve/messages_request.h"
#include "moge/serve/responses_api.h"
#include "moge/serve/responses_request.h"
#include "moge/serve/test_server.h"

namespace moge::serve {
namespace {

using Kind = AnswerBlock::Kind;
const std::vector<AnswerBlock> kBlocks = {
    {Kind::kReasoning, "", "hm"}, {Kind::kText, "", "Hello"}, {Kind::kCall, "f", "{\"a\":1}"}};

infer::TextEnd ended(infer::FinishReason reason = infer::FinishReason::kStop) {
  return {.finish = {.reason = reason, .prompt_tokens = 3, .output_tokens = 5}};
}

template <class Parse>
std::pair<int, std::string> refusal(Parse parse, const std::string& body) {
  try {
    parse(body);
  } catch (const ApiError& error) {
    return {error.status(), error.param()};
  }
  return {200, ""};
}

TEST(MessagesRequest, BecomesAChat) {
  const ChatRequest request = parse_messages_request(R"({"model":"m","max_tokens":9,
    "system":[{"type":"text","text":"be "},{"type":"text","text":"kind"}],"stop_sequences":["x"],
    "tools":[{"name":"f","description":"d","input_schema":{"type":"object"}}],
    "tool_choice":{"type":"auto","disable_parallel_tool_use":true},"thinking":{"type":"disabled"},
    "messages":[{"role":"user","content":"hi"},
      {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":""},
        {"type":"text","text":"ok"},{"type":"tool_use","id":"t1","name":"f","input":{"a":1}}]},
      {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1",
        "content":[{"type":"text","text":"42"}]},{"type":"text","text":"so?"}]}]})");
  EXPECT_EQ(request.max_tokens, 9);
  EXPECT_EQ(request.sampling.stop, std::vector<std::string>{"x"});
  EXPECT_FALSE(request.parallel_tool_calls);
  EXPECT_EQ(request.template_kwargs_json, R"({"enable_thinking":false})");
  const json messages = json::parse(request.messages_json);
  ASSERT_EQ(messages.size(), 5u);
  EXPECT_EQ(messages[0], json({{"role", "system"}, {"content", "be kind"}}));
  EXPECT_EQ(messages[2]["reasoning_content"], "hm");
  EXPECT_EQ(messages[2]["tool_calls"][0]["function"]["arguments"]["a"], 1);
  EXPECT_EQ(messages[3], json({{"role", "tool"}, {"tool_call_id", "t1"}, {"content", "42"}}));
  EXPECT_EQ(messages[4]["content"], "so?");
  EXPECT_EQ(json::parse(request.tools_json)[0]["function"]["parameters"]["type"], "object");
}

TEST(MessagesRequest, NamesWhatIsWrong) {
  const auto refused = [](const std::string& body) {
    return refusal([](const std::string& b) { parse_messages_request(b); }, body);
  };
  using Refusal = std::pair<int, std::string>;
  const std::string user = R"("messages":[{"role":"user","content":"x"}])";
  EXPECT_EQ(refused("{" + user + "}"), Refusal(400, "max_tokens"));
  EXPECT_EQ(refused(R"({"max_tokens":1})"), Refusal(400, "messages"));
  for (const char* message :
       {"7", R"({"role":"tool","content":"x"})", R"({"role":"user"})",
        R"({"role":"user","content":[7]})", R"({"role":"user","content":[{"type":"image"}]})",
        R"({"role":"assistant","content":[{"type":"tool_use"}]})"})
    EXPECT_EQ(refused(std::string(R"({"max_tokens":1,"messages":[)") + message + "]}"),
              Refusal(400, "messages"))
        << message;
  const auto with = [&](const std::string& more) {
    return refused(R"({"max_tokens":1,)" + user + "," + more + "}").second;
  };
  EXPECT_EQ(with(R"("system":7)"), "system");
  EXPECT_EQ(with(R"("tools":[{}])"), "tools");
  EXPECT_EQ(with(R"("tool_choice":{"type":"all"})"), "tool_choice");
  EXPECT_EQ(with(R"("thinking":{"type":"x"})"), "thinking");
  EXPECT_EQ(with(R"("stop_sequences":"x")"), "stop_sequences");
}

TEST(MessagesApi, WritesEveryKindOfBlock) {
  MessagesApi api("m", 3);
  const auto message = api.whole(kBlocks, ended());
  EXPECT_EQ(message["content"][0]["thinking"], "hm");
  EXPECT_EQ(message["content"][1]["text"], "Hello");
  EXPECT_EQ(message["content"][2]["input"]["a"], 1);
  EXPECT_EQ(message["stop_reason"], "tool_use");
  EXPECT_EQ(message["usage"]["input_tokens"], 3);
  EXPECT_EQ(message["usage"]["output_tokens"], 5);
  EXPECT_EQ(api.whole({}, ended(infer::FinishReason::kLength))["stop_reason"], "max_tokens");
  infer::TextEnd cached = ended();
  cached.finish.cached_tokens = 2;
  EXPECT_EQ(api.whole({}, cached)["usage"]["input_tokens"], 1);
  EXPECT_EQ(api.whole({}, cached)["usage"]["cache_read_input_tokens"], 2);
  infer::TextEnd stop = ended();
  stop.stop = "###";
  EXPECT_EQ(api.whole({}, stop)["stop_sequence"], "###");
  const AnswerBlock cut{Kind::kCall, "f", "{\"a\":"};
  EXPECT_EQ(api.whole({cut}, ended())["content"][0]["input"], json::object());
}

TEST(ResponsesRequest, BecomesAChat) {
  const ResponsesRequest request = parse_responses_request(R"({"model":"m","instructions":"be kind",
    "max_output_tokens":9,"metadata":{"a":"b"},
    "tools":[{"type":"function","name":"f","parameters":{"type":"object"}}],
    "input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]},
      {"type":"reasoning","summary":[]},
      {"type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\":1}"},
      {"type":"function_call_output","call_id":"c1","output":"42"}]})");
  const json messages = json::parse(request.chat.messages_json);
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[0]["content"], "be kind");
  EXPECT_EQ(messages[2]["tool_calls"][0]["function"]["arguments"]["a"], 1);
  EXPECT_EQ(messages[3]["role"], "tool");
  EXPECT_EQ(request.chat.max_tokens, 9);
  EXPECT_EQ(json::parse(request.echo_json)["metadata"]["a"], "b");
  const auto refused = [](const std::string& body) {
    return refusal([](const std::string& b) { parse_responses_request(b); }, body);
  };
  using Refusal = std::pair<int, std::string>;
  EXPECT_EQ(refused("{}"), Refusal(400, "input"));
  EXPECT_EQ(refused(R"({"input":[]})"), Refusal(400, "input"));
  EXPECT_EQ(refused(R"({"input":[{"type":"item_reference"}]})"), Refusal(400, "input"));
  EXPECT_EQ(refused(R"({"input":"x","previous_response_id":"r"})"),
            Refusal(501, "previous_response_id"));
  EXPECT_EQ(refused(R"({"input":"x","tools":[{"type":"web_search"}]})"), Refusal(501, "tools"));
  EXPECT_EQ(refused(R"({"input":"x","max_output_tokens":0})"), Refusal(400, "max_output_tokens"));
}

TEST(ResponsesApi, WritesEveryKindOfItem) {
  ResponsesApi api("m", R"({"tools":[]})", 3);
  const auto response = api.whole(kBlocks, ended());
  EXPECT_EQ(response["status"], "completed");
  EXPECT_EQ(response["output"][0]["content"][0]["text"], "hm");
  EXPECT_EQ(response["output"][1]["content"][0]["text"], "Hello");
  EXPECT_EQ(response["output"][2]["arguments"], R"({"a":1})");
  EXPECT_EQ(response["usage"]["total_tokens"], 8);
  infer::TextEnd cached = ended();
  cached.finish.cached_tokens = 2;
  const auto usage = api.whole(kBlocks, {cached, /*reasoning=*/4})["usage"];
  EXPECT_EQ(usage["input_tokens_details"]["cached_tokens"], 2);
  EXPECT_EQ(usage["output_tokens_details"]["reasoning_tokens"], 4);
  const auto cut = api.whole(kBlocks, ended(infer::FinishReason::kLength));
  EXPECT_EQ(cut["incomplete_details"]["reason"], "max_output_tokens");
}

TEST_F(Server, AnswersMessagesWholeAndStreamed) {
  use_template();
  const std::string fields =
      R"({"model":"tiny","max_tokens":10,"temperature":0,"logit_bias":{"64":100},)"
      R"("messages":[{"role":"user","content":"hi"}])";
  const json whole = body_of(post("/v1/messages", fields + "}"));
  ASSERT_EQ(whole["type"], "message") << whole;
  EXPECT_EQ(whole["stop_reason"], "max_tokens");
  EXPECT_EQ(whole["usage"]["output_tokens"], 10);
  const json counted = body_of(
      post("/v1/messages/count_tokens", R"({"messages":[{"role":"user","content":"hi"}]})"));
  EXPECT_EQ(counted["input_tokens"], whole["usage"]["input_tokens"]);
  const std::string streamed = post("/v1/messages", fields + R"(,"stream":true})");
  EXPECT_NE(streamed.find("event: message_start\ndata: {"), std::string::npos);
  std::string text, last;
  for (const json& event : events_of(streamed)) {
    last = event["type"];
    if (last == "content_block_delta") text += event["delta"]["text"].get<std::string>();
  }
  EXPECT_EQ(last, "message_stop");
  EXPECT_EQ(text, "aaaaaaaaaa");
  EXPECT_EQ(whole["content"][0]["text"], text);
  const json error = body_of(post("/v1/messages", "{}"));
  EXPECT_EQ(error["type"], "error");
  EXPECT_EQ(error["error"]["param"], "max_tokens");
}

TEST_F(Server, AnswersResponsesAndToolsOverSockets) {
  use_template();
  const std::string fields =
      R"({"max_output_tokens":10,"temperature":0,"logit_bias":{"64":100},"input":"hi")";
  const json whole = body_of(post("/v1/responses", fields + "}"));
  ASSERT_EQ(whole["status"], "incomplete") << whole;
  const std::string streamed = post("/v1/responses", fields + R"(,"stream":true})");
  std::string text;
  int64_t number = 0;
  json last;
  for (const json& event : events_of(streamed)) {
    EXPECT_EQ(event["sequence_number"], number++);
    if (event["type"] == "response.output_text.delta") text += event["delta"].get<std::string>();
    last = event;
  }
  EXPECT_EQ(text, "aaaaaaaaaa");
  EXPECT_EQ(last["type"], "response.incomplete");
  EXPECT_EQ(last["response"]["output"][0]["content"][0]["text"], text);
  EXPECT_EQ(whole["output"][0]["content"][0]["text"], text);
  const std::string tools =
      R"({"messages":[{"role":"user","content":"x"}],"max_tokens":3,"logit_bias":{"64":100},)"
      R"("tools":[{"type":"function","function":{"name":"f"}}]})";
  EXPECT_EQ(body_of(post("/v1/chat/completions", tools))["error"]["param"], "tools");
  service_->tool_form = find_tool_form("hermes");
  service_->reasoning_form = find_reasoning_form("deepseek_r1");
  const json answer = body_of(post("/v1/chat/completions", tools));
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "") << answer;
  EXPECT_EQ(answer["choices"][0]["message"]["reasoning_content"], "aaa");
}

}  // namespace
}  // namespace moge::serve
