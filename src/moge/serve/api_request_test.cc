#include "moge/serve/api_request.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "moge/serve/api_error.h"

namespace moge::serve {
namespace {

/// Status and field of the error that a body meets; 200 if none.
std::pair<int, std::string> refusal(const std::function<void()>& parse) {
  try {
    parse();
  } catch (const ApiError& error) {
    const auto body = nlohmann::json::parse(error.body())["error"];
    EXPECT_FALSE(body["message"].get<std::string>().empty());
    return {error.status(), error.param()};
  }
  return {200, ""};
}

std::pair<int, std::string> completion(const std::string& body) {
  return refusal([&] { parse_completion_request(body); });
}
std::pair<int, std::string> chat(const std::string& body) {
  return refusal([&] { parse_chat_request(body); });
}
std::pair<int, std::string> with_field(const std::string& field) {
  return completion(R"({"prompt":"x",)" + field + "}");
}

TEST(CompletionRequest, ReadsEveryField) {
  const CompletionRequest request = parse_completion_request(R"({
    "model": "m", "prompt": "once", "max_tokens": 7, "temperature": 0.5, "top_p": 0.9, "top_k": 5,
    "min_p": 0.1, "typical_p": 0.9,
    "repetition_penalty": 1.1, "presence_penalty": 0.2, "frequency_penalty": 0.3,
    "seed": 11, "n": 2, "stream": true, "stream_options": {"include_usage": true},
    "logit_bias": {"3": -5}, "stop": ["a", "b"], "stop_token_ids": [4], "ignore_eos": true,
    "min_tokens": 2, "logprobs": 3, "return_routed_experts": true, "user": "someone"})");
  EXPECT_EQ(request.model, "m");
  ASSERT_EQ(request.prompts.size(), 1u);
  EXPECT_EQ(request.prompts[0].text, "once");
  EXPECT_EQ(request.max_tokens, 7);
  EXPECT_FLOAT_EQ(request.sampling.temperature, 0.5f);
  EXPECT_FLOAT_EQ(request.sampling.top_p, 0.9f);
  EXPECT_EQ(request.sampling.top_k, 5);
  EXPECT_FLOAT_EQ(request.sampling.min_p, 0.1f);
  EXPECT_FLOAT_EQ(request.sampling.typical_p, 0.9f);
  EXPECT_FLOAT_EQ(request.sampling.repetition_penalty, 1.1f);
  EXPECT_FLOAT_EQ(request.sampling.presence_penalty, 0.2f);
  EXPECT_FLOAT_EQ(request.sampling.frequency_penalty, 0.3f);
  EXPECT_EQ(request.sampling.seed, 11u);
  EXPECT_EQ(request.n, 2);
  EXPECT_TRUE(request.stream && request.include_usage && request.return_routed_experts);
  EXPECT_EQ(request.sampling.logit_bias, (std::vector<std::pair<int32_t, float>>{{3, -5.0f}}));
  EXPECT_EQ(request.sampling.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(request.sampling.stop_ids, std::vector<int32_t>{4});
  EXPECT_TRUE(request.sampling.ignore_eos);
  EXPECT_EQ(request.sampling.min_tokens, 2);
  EXPECT_EQ(request.sampling.num_logprobs, 3);
}

TEST(CompletionRequest, TakesTextsIdsAndListsOfBoth) {
  EXPECT_EQ(parse_completion_request(R"({"prompt":["a","b"]})").prompts.size(), 2u);
  const auto ids = parse_completion_request(R"({"prompt":[1,2,3]})").prompts;
  ASSERT_EQ(ids.size(), 1u);
  EXPECT_EQ(ids[0].ids, (std::vector<int32_t>{1, 2, 3}));
  const auto lists = parse_completion_request(R"({"prompt":[[1],[2,3]]})").prompts;
  ASSERT_EQ(lists.size(), 2u);
  EXPECT_TRUE(lists[1].is_ids);
  EXPECT_EQ(parse_completion_request(R"({"prompt":"x"})").max_tokens, 16);
}

TEST(CompletionRequest, RefusesWrongFieldsByName) {
  using Refusal = std::pair<int, std::string>;
  EXPECT_EQ(completion("{"), Refusal(400, ""));
  EXPECT_EQ(completion("[1]"), Refusal(400, ""));
  EXPECT_EQ(completion("11e+398"), Refusal(400, ""));
  EXPECT_EQ(with_field(R"("temperature":1e999)"), Refusal(400, ""));
  EXPECT_EQ(completion(""), Refusal(400, ""));
  EXPECT_EQ(completion("{}"), Refusal(400, "prompt"));
  EXPECT_EQ(completion(R"({"prompt":7})"), Refusal(400, "prompt"));
  EXPECT_EQ(completion(R"({"prompt":[]})"), Refusal(400, "prompt"));
  EXPECT_EQ(completion(R"({"prompt":[1,"a"]})"), Refusal(400, "prompt"));
  EXPECT_EQ(completion(R"({"prompt":[-1]})"), Refusal(400, "prompt"));
  EXPECT_EQ(completion(R"({"prompt":[1.5]})"), Refusal(400, "prompt"));
  EXPECT_EQ(with_field(R"("temperature":"hot")"), Refusal(400, "temperature"));
  EXPECT_EQ(with_field(R"("temperature":1e300)"), Refusal(400, "temperature"));
  EXPECT_EQ(with_field(R"("max_tokens":-1)"), Refusal(400, "max_tokens"));
  EXPECT_EQ(with_field(R"("max_tokens":1.5)"), Refusal(400, "max_tokens"));
  EXPECT_EQ(with_field(R"("n":0)"), Refusal(400, "n"));
  EXPECT_EQ(with_field(R"("n":1000)"), Refusal(400, "n"));
  EXPECT_EQ(with_field(R"("stream":"yes")"), Refusal(400, "stream"));
  EXPECT_EQ(with_field(R"("stream_options":1)"), Refusal(400, "stream_options"));
  EXPECT_EQ(with_field(R"("stop":[1])"), Refusal(400, "stop"));
  EXPECT_EQ(with_field(R"("logit_bias":{"x":1})"), Refusal(400, "logit_bias"));
  EXPECT_EQ(with_field(R"("logit_bias":{"1":101})"), Refusal(400, "logit_bias"));
  EXPECT_EQ(with_field(R"("logprobs":21)"), Refusal(400, "logprobs"));
  EXPECT_EQ(with_field(R"("stop_token_ids":3)"), Refusal(400, "stop_token_ids"));
  EXPECT_EQ(with_field(R"("seed":18446744073709551615)"), Refusal(400, "seed"));
  EXPECT_EQ(with_field(R"("best_of":5)"), Refusal(200, ""));
  EXPECT_EQ(with_field(R"("best_of":5,"stream":true)"), Refusal(400, "best_of"));
  EXPECT_EQ(with_field(R"("best_of":2,"n":3)"), Refusal(400, "best_of"));
  EXPECT_EQ(with_field(R"("echo":1)"), Refusal(400, "echo"));
  EXPECT_EQ(with_field(R"("cache_salt":1)"), Refusal(400, "cache_salt"));
  EXPECT_EQ(with_field(R"("priority":"high")"), Refusal(400, "priority"));
  EXPECT_EQ(completion(std::string(100000, '[')), Refusal(400, ""));
}

TEST(CompletionRequest, NamesFeaturesThatAreNotThere) {
  using Refusal = std::pair<int, std::string>;
  EXPECT_EQ(with_field(R"("suffix":"x")"), Refusal(501, "suffix"));
  EXPECT_EQ(with_field(R"("suffix":null)"), Refusal(200, ""));
  EXPECT_EQ(with_field(R"("suffix":"")"), Refusal(200, ""));
}

TEST(ChatRequest, ReadsMessagesAndJoinsTextParts) {
  const ChatRequest request = parse_chat_request(R"({"messages":[
    {"role":"system","content":"be kind"},
    {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}],
    "max_completion_tokens":9,"logprobs":true,"top_logprobs":2})");
  const auto messages = nlohmann::json::parse(request.messages_json);
  EXPECT_EQ(messages[1]["content"], "ab");
  EXPECT_EQ(request.max_tokens, 9);
  EXPECT_EQ(request.sampling.num_logprobs, 2);
  EXPECT_FALSE(parse_chat_request(R"({"messages":[{"role":"user","content":"x"}]})").max_tokens);
}

TEST(CompletionRequest, DrawsASeedWhereNoneIsGiven) {
  const auto seed_of = [](const char* fields) {
    return parse_completion_request(std::string(R"({"prompt":"x")") + fields + "}").sampling.seed;
  };
  for (const char* any : {"", R"(,"seed":null)", R"(,"seed":-1)"})
    EXPECT_NE(seed_of(any), seed_of(any)) << any;
  EXPECT_EQ(seed_of(R"(,"seed":0)"), 0u);
  EXPECT_EQ(seed_of(R"(,"seed":-2)"), static_cast<uint64_t>(-2));
}

nlohmann::ordered_json messages_of(const std::string& messages) {
  return nlohmann::ordered_json::parse(
      parse_chat_request(R"({"messages":)" + messages + "}").messages_json);
}

TEST(ChatRequest, LeavesOutWhatSaysNothing) {
  // As the SDK writes an answer that is sent back.
  const auto message = messages_of(R"([{"content":"hi","refusal":null,"role":"assistant",
      "annotations":null,"audio":null,"function_call":null,"tool_calls":null}])")[0];
  EXPECT_EQ(message.dump(), R"({"content":"hi","role":"assistant"})");
  EXPECT_EQ(messages_of(R"([{"role":"assistant","content":null,"tool_calls":[]}])")[0].dump(),
            R"({"role":"assistant","content":""})");
  EXPECT_EQ(messages_of(R"([{"role":"tool","content":[],"tool_call_id":"1"}])")[0]["content"], "");
}

TEST(ChatRequest, ReadsEveryKindOfTextPart) {
  EXPECT_EQ(messages_of(R"([{"role":"user","content":["a",{"type":"input_text","text":"b"},
      {"type":"output_text","text":"c"},{"type":"refusal","refusal":"d"}]}])")[0]["content"],
            "abcd");
  for (const char* part : {"7", "{}", R"({"type":"text"})", R"({"type":"refusal","text":"x"})",
                           R"({"type":"image_url","image_url":{"url":"x"}})"})
    EXPECT_EQ(
        chat(R"({"messages":[{"role":"user","content":[)" + std::string(part) + "]}]}").second,
        "messages")
        << part;
}

TEST(ChatRequest, KnowsLlamasNames) {
  const ChatRequest request = parse_chat_request(
      R"({"messages":[{"role":"user","content":"x"}],"n_predict":5,"repeat_penalty":1.5})");
  EXPECT_EQ(request.max_tokens, 5);
  EXPECT_FLOAT_EQ(request.sampling.repetition_penalty, 1.5f);
  EXPECT_FALSE(parse_chat_request(R"({"messages":[{"role":"user","content":"x"}],"n_predict":-1})")
                   .max_tokens);
}

std::string chat_with(const std::string& fields) {
  return R"({"messages":[{"role":"user","content":"x"}],)" + fields + "}";
}

TEST(ChatRequest, ReadsTools) {
  const std::string tools = R"("tools":[{"type":"function","function":{"name":"f"}}])";
  using Kind = ToolChoice::Kind;
  const auto kind = [](const std::string& fields) {
    return parse_chat_request(chat_with(fields)).tool_choice.kind;
  };
  EXPECT_EQ(kind(R"("n":1)"), Kind::kNone);
  EXPECT_EQ(kind(tools), Kind::kAuto);
  EXPECT_EQ(kind(tools + R"(,"tool_choice":"none")"), Kind::kNone);
  EXPECT_EQ(kind(tools + R"(,"tool_choice":"required")"), Kind::kRequired);
  const ChatRequest named = parse_chat_request(
      chat_with(tools + R"(,"tool_choice":{"type":"function","function":{"name":"f"}})"
                        R"(,"parallel_tool_calls":false)"));
  EXPECT_EQ(named.tool_choice.kind, Kind::kNamed);
  EXPECT_EQ(named.tool_choice.name, "f");
  EXPECT_FALSE(named.parallel_tool_calls);
  const auto refused = [](const std::string& fields) { return chat(chat_with(fields)).second; };
  for (const char* wrong :
       {R"("tools":7)", R"("tools":[{}])", R"("tools":[{"type":"function"}])",
        R"("tools":[{"type":"function","function":{"name":7}}])",
        R"("tools":[{"type":"function","function":{"name":"f","parameters":1}}])"})
    EXPECT_EQ(refused(wrong), "tools") << wrong;
  EXPECT_EQ(refused(R"("tool_choice":"auto")"), "tool_choice");
  EXPECT_EQ(refused(tools + R"(,"tool_choice":"some")"), "tool_choice");
  EXPECT_EQ(refused(tools + R"(,"tool_choice":{"function":{"name":"g"}})"), "tool_choice");
}

TEST(ChatRequest, ReadsAllowedTools) {
  const auto with = [](const std::string& choice) {
    return chat_with(R"("tools":[{"type":"function","function":{"name":"f"}},
        {"type":"function","function":{"name":"g"}}],"tool_choice":{"type":"allowed_tools",)" +
                     choice + "}");
  };
  using Kind = ToolChoice::Kind;
  for (const auto& [mode, kind] : {std::pair("auto", Kind::kAuto), {"required", Kind::kRequired}})
    for (const char* tool :
         {R"({"type":"function","function":{"name":"g"}})", R"({"type":"function","name":"g"})"}) {
      const ChatRequest request = parse_chat_request(with(
          std::string(R"("allowed_tools":{"mode":")") + mode + R"(","tools":[)" + tool + "]}"));
      EXPECT_EQ(request.tool_choice.kind, kind);
      const auto tools = nlohmann::json::parse(request.tools_json);
      ASSERT_EQ(tools.size(), 1u);
      EXPECT_EQ(tools[0]["function"]["name"], "g");
    }
  for (const char* wrong :
       {R"("allowed_tools":7)", R"("x":1)", R"("allowed_tools":{"mode":"auto"})",
        R"("allowed_tools":{"mode":"auto","tools":[]})",
        R"("allowed_tools":{"mode":"none","tools":[{"name":"g"}]})",
        R"("allowed_tools":{"tools":[{"name":"g"}]})",
        R"("allowed_tools":{"mode":"auto","tools":[{"name":"h"}]})",
        R"("allowed_tools":{"mode":"auto","tools":["g"]})"})
    EXPECT_EQ(chat(with(wrong)), std::pair(400, std::string("tool_choice"))) << wrong;
}

TEST(ChatRequest, GivesTemplatesArgumentsAsObjects) {
  const ChatRequest request = parse_chat_request(
      R"({"messages":[{"role":"assistant","content":null,"tool_calls":[
          {"id":"1","type":"function","function":{"name":"f","arguments":"{\"b\":1,\"a\":2}"}},
          {"id":"2","type":"function","function":{"name":"g","arguments":"no json"}}]},
          {"role":"tool","tool_call_id":"1","content":"ok"}]})");
  const auto calls = nlohmann::ordered_json::parse(request.messages_json)[0]["tool_calls"];
  EXPECT_EQ(calls[0]["function"]["arguments"].dump(), R"({"b":1,"a":2})");
  EXPECT_EQ(calls[1]["function"]["arguments"], "no json");
  EXPECT_EQ(chat(R"({"messages":[{"role":"assistant","tool_calls":[{}]}]})").second, "messages");
}

TEST(ChatRequest, RefusesObjectsWithTooManyKeys) {
  std::string keys;
  for (int i = 0; i < 1025; ++i) keys += "\"" + std::to_string(i) + "\":0,";
  EXPECT_EQ(chat("{" + keys + R"("messages":[{"role":"user","content":"x"}]})").first, 400);
}

TEST(ChatRequest, RefusesWrongMessages) {
  using Refusal = std::pair<int, std::string>;
  EXPECT_EQ(chat("{}"), Refusal(400, "messages"));
  EXPECT_EQ(chat(R"({"messages":[]})"), Refusal(400, "messages"));
  EXPECT_EQ(chat(R"({"messages":["x"]})"), Refusal(400, "messages"));
  EXPECT_EQ(chat(R"({"messages":[{"content":"x"}]})"), Refusal(400, "messages"));
  EXPECT_EQ(chat(R"({"messages":[{"role":"user","content":7}]})"), Refusal(400, "messages"));
  EXPECT_EQ(chat(R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})"),
            Refusal(400, "messages"));
}

}  // namespace
}  // namespace moge::serve
