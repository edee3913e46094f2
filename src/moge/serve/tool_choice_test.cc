// Calls that a request demands, over real sockets: in every form of calls that models write, in
// every API.
#include "moge/serve/test_server.h"

namespace moge::serve {
namespace {

constexpr const char* kEndToken = "256";  // of the test's tokenizer

class DemandedCalls : public Server {
 protected:
  DemandedCalls() {
    use_template();
    loaded_.model.config.eos_ids = {256};  // a preset has none
  }

  static json function(const char* name, const char* key) {
    return {{"name", name},
            {"parameters",
             {{"type", "object"},
              {"properties", {{key, {{"$ref", "#/$defs/digit"}}}}},
              {"required", {key}},
              {"$defs", {{"digit", {{"type", "integer"}, {"minimum", 0}, {"maximum", 9}}}}}}}};
  }
  static json tools() {
    return {{{"type", "function"}, {"function", function("f", "a")}},
            {{"type", "function"}, {"function", function("g", "b")}}};
  }
  static json chat_request(json choice, int seed) {
    return {
        {"messages", json::parse(R"([{"role":"user","content":"x"}])")},
        {"tools", tools()},
        {"tool_choice", std::move(choice)},
        {"temperature", 1},
        {"seed", seed},
        {"logit_bias", {{kEndToken, 100}, {"60", 100}}}};  // ends as soon as it may; 60: a list's
  }
  json chat(const json& request) const {
    return body_of(post("/v1/chat/completions", request.dump()));
  }
  static json named(const char* name) {
    return {{"type", "function"}, {"function", {{"name", name}}}};
  }
  /// The name, after a look at the arguments.
  static std::string checked(const json& name, const json& arguments) {
    const char* key = name == "f" ? "a" : "b";
    EXPECT_TRUE(arguments.is_object() && arguments.size() == 1 && arguments.contains(key) &&
                arguments[key].is_number_integer())
        << name << arguments;
    return name;
  }
  static std::string checked_call(const json& call) {
    return checked(call["function"]["name"],
                   json::parse(call["function"]["arguments"].get<std::string>(), nullptr, false));
  }
};

TEST_F(DemandedCalls, EveryFormOfCalls) {
  for (const char* form : {"", "hermes", "llama3_json", "pangu"}) {
    service_->tool_form = find_tool_form(form);
    service_->grammars = make_grammar_compiler();
    for (int seed = 0; seed < 4; ++seed)
      for (const json& choice : {json("required"), named("g")}) {
        const json answer = chat(chat_request(choice, seed))["choices"][0];
        EXPECT_EQ(answer["finish_reason"], "tool_calls") << form << answer;
        EXPECT_TRUE(answer["message"]["content"].is_null()) << answer;
        ASSERT_EQ(answer["message"]["tool_calls"].size(), 1u) << answer;
        const std::string name = checked_call(answer["message"]["tool_calls"][0]);
        EXPECT_TRUE(name == "g" || (choice == "required" && name == "f")) << answer;
      }
  }
}

TEST_F(DemandedCalls, SeveralUnlessOneIsAskedFor) {
  service_->tool_form = find_tool_form("llama3_json");
  json request = chat_request("required", 1);
  request["logit_bias"] = {{"26", 100}};  // ';', behind which another call follows
  const json calls = chat(request)["choices"][0]["message"]["tool_calls"];
  ASSERT_GE(calls.size(), 2u) << calls;
  checked_call(calls[0]);
  checked_call(calls[1]);
  EXPECT_NE(calls[0]["id"], calls[1]["id"]);
  request["parallel_tool_calls"] = false;
  request["stop"] = {"{", "1"};  // would leave half a call
  const json one = chat(request)["choices"][0];
  EXPECT_EQ(one["finish_reason"], "tool_calls") << one;
  EXPECT_EQ(one["message"]["tool_calls"].size(), 1u) << one;
}

TEST_F(DemandedCalls, StreamedAndBehindReasoning) {
  service_->tool_form = find_tool_form("hermes");
  json request = chat_request("required", 2);
  request["stream"] = true;
  std::string name, arguments, finish;
  for (const json& event : events_of(post("/v1/chat/completions", request.dump()))) {
    const json choice = event["choices"][0];
    EXPECT_TRUE(choice["delta"].value("content", json()).is_null() ||
                choice["delta"]["content"] == "")
        << choice;
    if (choice["finish_reason"].is_string()) finish = choice["finish_reason"];
    for (const json& call : choice["delta"].value("tool_calls", json::array())) {
      name += call["function"].value("name", "");
      arguments += call["function"].value("arguments", "");
    }
  }
  EXPECT_EQ(finish, "tool_calls");
  checked(name, json::parse(arguments, nullptr, false));
  service_->reasoning_form = find_reasoning_form("qwen3");
  service_->grammars = make_grammar_compiler();
  request.erase("stream");
  request["logit_bias"]["27"] = 100;  // '<' begins both: reasoning and a call
  const json message = chat(request)["choices"][0]["message"];
  EXPECT_TRUE(message.contains("tool_calls") || message.contains("reasoning_content")) << message;
}

TEST_F(DemandedCalls, InMessagesAndResponses) {
  json request = {{"messages", json::parse(R"([{"role":"user","content":"x"}])")},
                  {"max_tokens", 80},
                  {"temperature", 1},
                  {"logit_bias", {{kEndToken, 100}}}};
  for (const json& tool : tools())
    request["tools"].push_back(
        {{"name", tool["function"]["name"]}, {"input_schema", tool["function"]["parameters"]}});
  for (const char* choice : {R"({"type":"any"})", R"({"type":"tool","name":"f"})"}) {
    request["tool_choice"] = json::parse(choice);
    const json message = body_of(post("/v1/messages", request.dump()));
    EXPECT_EQ(message["stop_reason"], "tool_use") << message;
    ASSERT_EQ(message["content"].size(), 1u) << message;
    checked(message["content"][0]["name"], message["content"][0]["input"]);
  }
  json response = {{"input", "x"}, {"temperature", 1}, {"logit_bias", {{kEndToken, 100}}}};
  for (const json& tool : tools()) {
    response["tools"].push_back({{"type", "function"}});
    response["tools"].back().update(tool["function"]);
  }
  for (const char* choice : {R"("required")", R"({"type":"function","name":"f"})"}) {
    response["tool_choice"] = json::parse(choice);
    const json answer = body_of(post("/v1/responses", response.dump()));
    EXPECT_EQ(answer["status"], "completed") << answer;
    ASSERT_EQ(answer["output"].size(), 1u) << answer;
    EXPECT_EQ(answer["output"][0]["type"], "function_call");
    checked(answer["output"][0]["name"],
            json::parse(answer["output"][0]["arguments"].get<std::string>(), nullptr, false));
  }
}

TEST_F(DemandedCalls, WithoutParametersAndWrongOnes) {
  json request = chat_request("required", 1);
  request["tools"] = json::parse(R"([{"type":"function","function":{"name":"now"}}])");
  const json call = chat(request)["choices"][0]["message"]["tool_calls"][0];
  EXPECT_EQ(json::parse(call["function"]["arguments"].get<std::string>()), json::object()) << call;
  const std::pair<const char*, const char*> wrong[] = {{R"({"not":{}})", "keyword not"},
                                                       {R"({"type":"string"})", "type object"}};
  for (const auto& [parameters, words] : wrong) {
    request["tools"][0]["function"]["parameters"] = json::parse(parameters);
    const json answer = chat(request);
    ASSERT_TRUE(answer.contains("error")) << answer;
    EXPECT_EQ(answer["error"]["param"], "tools");
    const std::string message = answer["error"]["message"];
    EXPECT_NE(message.find(words), std::string::npos) << message;
    EXPECT_NE(message.find("now"), std::string::npos) << message;
  }
}

TEST_F(DemandedCalls, OnlyOfAllowedTools) {
  const json allowed = {{"mode", "required"},
                        {"tools", {{{"type", "function"}, {"function", {{"name", "g"}}}}}}};
  for (int seed = 0; seed < 4; ++seed) {
    const json choice = {{"type", "allowed_tools"}, {"allowed_tools", allowed}};
    const json message = chat(chat_request(choice, seed))["choices"][0]["message"];
    ASSERT_EQ(message["tool_calls"].size(), 1u) << message;
    EXPECT_EQ(checked_call(message["tool_calls"][0]), "g");
  }
  json response = {{"input", "x"}, {"temperature", 1}, {"logit_bias", {{kEndToken, 100}}}};
  for (const json& tool : tools()) {
    response["tools"].push_back({{"type", "function"}});
    response["tools"].back().update(tool["function"]);
  }
  response["tool_choice"] = {{"type", "allowed_tools"},
                             {"mode", "required"},
                             {"tools", {{{"type", "function"}, {"name", "g"}}}}};
  const json answer = body_of(post("/v1/responses", response.dump()));
  ASSERT_EQ(answer["output"].size(), 1u) << answer;
  EXPECT_EQ(answer["output"][0]["name"], "g");
  EXPECT_EQ(answer["tool_choice"], response["tool_choice"]);
}

/// The form is the answer's, not the calls'.
TEST_F(DemandedCalls, MayComeInPlaceOfAFormUnderAuto) {
  for (const char* form : {"hermes", "pangu"}) {
    service_->tool_form = find_tool_form(form);
    service_->grammars = make_grammar_compiler();
    json request = chat_request("auto", 1);
    request["response_format"] = {
        {"type", "json_schema"},
        {"json_schema", {{"schema", {{"type", "integer"}, {"minimum", 3}, {"maximum", 9}}}}}};
    request["logit_bias"]["22"] = 100;  // '7'
    const json text = chat(request)["choices"][0];
    EXPECT_EQ(text["message"]["content"], "7") << text;
    EXPECT_EQ(text["finish_reason"], "stop");
    request["logit_bias"] = {{kEndToken, 100}, {"60", 100}};
    request["logit_bias"][*form == 'h' ? "27" : "58"] = 100;  // '<' or '[' begins a call
    const json call = chat(request)["choices"][0];
    EXPECT_EQ(call["finish_reason"], "tool_calls") << call;
    ASSERT_GE(call["message"]["tool_calls"].size(), 1u) << call;
    checked_call(call["message"]["tool_calls"][0]);
  }
}

}  // namespace
}  // namespace moge::serve
