// Structured output over real sockets: every client's way to ask for it, what comes of it,
// refusals.
#include <regex>

#include "moge/serve/test_server.h"

namespace moge::serve {
namespace {

/// Short answers only: the context of the test's model is small.
constexpr const char* kSchema = R"({"type":"object","properties":{
    "name":{"type":"string","maxLength":6},"age":{"type":"integer","minimum":0,"maximum":120},
    "tags":{"type":"array","items":{"enum":["a","b"]},"maxItems":2}},"required":["name","age"]})";

class StructuredOutput : public Server {
 protected:
  explicit StructuredOutput(const std::vector<std::string>& more_tokens = {})
      : Server(more_tokens),
        template_(text::ChatTemplate::parse("{% for m in messages %}{{ m.content }}{% endfor %}")) {
    service_->chat_template = &template_;
  }

  json complete(json body) const {
    body["prompt"] = "x";
    body["max_tokens"] = body.value("max_tokens", 90);
    return body_of(post("/v1/completions", body.dump()));
  }
  json chat(json body) const {
    body["messages"] = json::parse(R"([{"role":"user","content":"x"}])");
    return body_of(post("/v1/chat/completions", body.dump()));
  }

  text::ChatTemplate template_;
};

void expect_person(const std::string& text) {
  const json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(value.is_object()) << text;
  ASSERT_TRUE(value["name"].is_string() && value["age"].is_number_integer()) << text;
  EXPECT_TRUE(value["age"] >= 0 && value["age"] <= 120) << text;
  for (const auto& [key, member] : value.items())
    EXPECT_TRUE(key == "name" || key == "age" || key == "tags") << text;
}

TEST_F(StructuredOutput, AnswersAreJsonThatFitsTheSchema) {
  const json schema = json::parse(kSchema);
  const json response_format{
      {"type", "json_schema"},
      {"json_schema", {{"name", "person"}, {"strict", true}, {"schema", schema}}}};
  const json asked[] = {
      {{"response_format", response_format}},
      {{"response_format", {{"type", "json_object"}, {"schema", schema}}}},
      {{"guided_json", schema}},
      {{"guided_json", kSchema}},
      {{"structured_outputs", {{"json", schema}}}},
      {{"json_schema", schema}},
  };
  double temperature = 0;
  for (json body : asked) {
    body["temperature"] = temperature = 1 - temperature;
    const json completion = complete(body)["choices"][0];
    EXPECT_EQ(completion["finish_reason"], "stop") << body << completion;
    expect_person(completion["text"]);
  }
  const json message = chat(asked[0])["choices"][0];
  EXPECT_EQ(message["finish_reason"], "stop") << message;
  expect_person(message["message"]["content"]);
}

TEST_F(StructuredOutput, EveryAnswerOfARequestHasItsOwnPlace) {
  const json answers = complete(
      {{"guided_json", json::parse(kSchema)}, {"n", 4}, {"seed", 5}, {"temperature", 1.5}});
  ASSERT_EQ(answers["choices"].size(), 4u) << answers;
  for (const json& choice : answers["choices"]) expect_person(choice["text"]);
}

TEST_F(StructuredOutput, RegularExpressionsChoicesAndGrammars) {
  const std::pair<json, const char*> cases[] = {
      {{{"guided_regex", "[a-f]{3}-\\d+x"}}, "[a-f]{3}-[0-9]+x"},
      {{{"structured_outputs", {{"regex", "ab{2,4}c"}}}}, "ab{2,4}c"},
      {{{"guided_choice", {"yes", "no", "maybe"}}}, "yes|no|maybe"},
      {{{"structured_outputs", {{"choice", {"yes", "no"}}}}}, "yes|no"},
      {{{"grammar", "root ::= \"(\" [a-c]{1,5} \")\""}}, "\\([a-c]{1,5}\\)"},
      {{{"guided_grammar", "root ::= x x\nx ::= \"1\" | \"2\" x"}}, "2*12*1"},
  };
  for (const auto& [body, expression] : cases) {
    json asked = body;
    asked["temperature"] = 1;
    const json choice = complete(asked)["choices"][0];
    if (choice["finish_reason"] != "stop") continue;  // digits or letters without an end
    EXPECT_TRUE(std::regex_match(choice["text"].get<std::string>(), std::regex(expression)))
        << body << choice["text"];
  }
  EXPECT_EQ(complete({{"guided_choice", {"only"}}})["choices"][0]["text"], "only");
  for (const json& body : {json{{"guided_regex", ""}}, json{{"guided_choice", {""}}}}) {
    const json choice = complete(body)["choices"][0];  // the model has no end token
    EXPECT_EQ(choice["text"], "") << choice;
    EXPECT_EQ(choice["finish_reason"], "stop") << choice;
  }
  EXPECT_EQ(status_of(post("/v1/completions", R"({"prompt":"x","grammar":"","max_tokens":2})")),
            200);
  EXPECT_EQ(chat({{"response_format", {{"type", "text"}}}, {"max_tokens", 2}}).count("error"), 0u);
}

TEST_F(StructuredOutput, NothingButItsEndEndsJson) {
  const json choice = complete({{"guided_json", json::parse(kSchema)},
                                {"stop", {"\"", "{", "1"}},
                                {"ignore_eos", true},
                                {"min_tokens", 60}})["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "stop") << choice;
  expect_person(choice["text"]);
  const json cut =
      complete({{"guided_json", json::parse(kSchema)}, {"max_tokens", 5}})["choices"][0];
  EXPECT_EQ(cut["finish_reason"], "length") << cut;
  const json stopped = complete({{"guided_regex", "ab+c\n"}, {"stop", "\n"}})["choices"][0];
  EXPECT_EQ(stopped["text"].get<std::string>().find('\n'), std::string::npos) << stopped;
}

TEST_F(StructuredOutput, StreamsToo) {
  const std::string events =
      post("/v1/chat/completions",
           json{{"messages", json::parse(R"([{"role":"user","content":"x"}])")},
                {"response_format",
                 {{"type", "json_schema"}, {"json_schema", {{"schema", json::parse(kSchema)}}}}},
                {"stream", true}}
               .dump());
  std::string text, finish;
  for (size_t at = 0; (at = events.find("data: {", at)) != std::string::npos; ++at) {
    const json event = json::parse(events.substr(at + 6, events.find("\n", at) - at - 6));
    for (const json& choice : event["choices"]) {
      if (choice["delta"].contains("content") && choice["delta"]["content"].is_string())
        text += choice["delta"]["content"].get<std::string>();
      if (choice["finish_reason"].is_string()) finish = choice["finish_reason"];
    }
  }
  EXPECT_EQ(finish, "stop") << events;
  expect_person(text);
}

/// The markers of reasoning are tokens: a bias can call for them.
class ReasonedOutput : public StructuredOutput {
 protected:
  static constexpr const char *kA = "64", *kBegin = "259", *kEnd = "260";
  ReasonedOutput() : StructuredOutput({"<think>", "</think>"}) {}

  /// Whatever is liked best comes until its penalty has grown: then comes the next.
  json choose(const json& logit_bias) const {
    const json answer = chat({{"guided_choice", {"yes", "no"}},
                              {"temperature", 0},
                              {"frequency_penalty", 2},
                              {"max_tokens", 60},
                              {"logit_bias", logit_bias}});
    EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop") << answer;
    const json content = answer["choices"][0]["message"]["content"];
    EXPECT_TRUE(content == "yes" || content == "no") << answer;
    return answer;
  }
};

TEST_F(ReasonedOutput, HoldsBehindReasoningFromTheStart) {
  service_->reasoning_form = find_reasoning_form("deepseek_r1");
  const json answer = choose({{kA, 100}, {kEnd, 90}});
  const std::string reasoning = answer["choices"][0]["message"]["reasoning_content"];
  EXPECT_GE(reasoning.size(), 2u);
  EXPECT_EQ(reasoning, std::string(reasoning.size(), 'a')) << answer;
  const json& usage = answer["usage"];
  EXPECT_EQ(usage["completion_tokens_details"]["reasoning_tokens"], reasoning.size() + 1) << usage;
  EXPECT_GT(usage["completion_tokens"], usage["completion_tokens_details"]["reasoning_tokens"]);
}

TEST_F(ReasonedOutput, HoldsBehindReasoningThatMayBeLeftOut) {
  service_->reasoning_form = find_reasoning_form("qwen3");
  const json with = choose({{kBegin, 100}, {kA, 80}, {kEnd, 70}});
  const std::string reasoning = with["choices"][0]["message"]["reasoning_content"];
  EXPECT_NE(reasoning.find("<think>a"), std::string::npos) << with;
  const json without = choose({{kBegin, -100}});
  EXPECT_FALSE(without["choices"][0]["message"].contains("reasoning_content")) << without;
  EXPECT_EQ(without["usage"]["completion_tokens_details"]["reasoning_tokens"], 0);
}

TEST_F(StructuredOutput, RefusesWithFieldAndKeyword) {
  const std::tuple<json, const char*, const char*> cases[] = {
      {{{"response_format",
         {{"type", "json_schema"}, {"json_schema", {{"schema", {{"uniqueItems", true}}}}}}}},
       "response_format",
       "uniqueItems"},
      {{{"response_format", {{"type", "json_schema"}}}}, "response_format", "no schema"},
      {{{"response_format", {{"type", "xml"}}}}, "response_format", "xml"},
      {{{"response_format", "json"}}, "response_format", "object"},
      {{{"guided_json", {{"not", json::object()}}}}, "guided_json", "keyword not"},
      {{{"guided_json", "{"}}, "guided_json", "not JSON"},
      {{{"guided_json", 5}}, "guided_json", "JSON Schema"},
      {{{"guided_regex", "(a"}}, "guided_regex", "does not close"},
      {{{"guided_regex", "(a|b)*a(a|b){40}"}}, "guided_regex", "too large"},
      {{{"guided_choice", json::array()}}, "guided_choice", "list"},
      {{{"guided_choice", {1}}}, "guided_choice", "string"},
      {{{"grammar", "root ::= x"}}, "grammar", "rule x"},
      {{{"grammar", {{"a", 1}}}}, "grammar", "string"},
      {{{"structured_outputs", json::object()}}, "structured_outputs", "want one"},
      {{{"structured_outputs", {{"regex", "a"}, {"choice", {"a"}}}}},
       "structured_outputs",
       "want one"},
      {{{"guided_regex", "a"}, {"grammar", "root ::= \"a\""}},
       "grammar",
       "guided_regex and grammar"},
  };
  for (const auto& [body, field, words] : cases)
    for (const json& answer : {complete(body), chat(body)}) {
      ASSERT_TRUE(answer.contains("error")) << body << answer;
      EXPECT_EQ(answer["error"]["param"], field) << body << answer;
      EXPECT_NE(answer["error"]["message"].get<std::string>().find(words), std::string::npos)
          << body << answer;
    }
  EXPECT_EQ(status_of(post("/v1/completions", R"({"prompt":"x","guided_regex":"("})")), 400);
  EXPECT_EQ(status_of(get("/health")), 200);
}

}  // namespace
}  // namespace moge::serve
