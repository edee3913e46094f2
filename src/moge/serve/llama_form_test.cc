// llama.cpp's form of completions.
#include "moge/serve/test_server.h"

namespace moge::serve {
namespace {

TEST_F(Server, CompletionsInLlamasFormReportProbabilities) {
  json request = {{"prompt", "Once"},
                  {"n_predict", 4},
                  {"temperature", 0},
                  {"n_probs", 2},
                  {"ignore_eos", true}};
  const json whole = body_of(post("/completion", request.dump()));
  ASSERT_EQ(whole["completion_probabilities"].size(), 4u) << whole;
  for (size_t i = 0; i < 4; ++i) {
    const json& token = whole["completion_probabilities"][i];
    EXPECT_EQ(token["id"], whole["tokens"][i]);
    ASSERT_EQ(token["top_logprobs"].size(), 2u);
    EXPECT_EQ(token["top_logprobs"][0]["id"], token["id"]);  // greedy
    EXPECT_GE(token["top_logprobs"][0]["logprob"], token["top_logprobs"][1]["logprob"]);
  }
  request["stream"] = true;
  const std::vector<json> events = events_of(post("/completions", request.dump()));
  ASSERT_EQ(events.size(), 5u);
  for (size_t i = 0; i < 4; ++i)
    EXPECT_EQ(events[i]["completion_probabilities"][0], whole["completion_probabilities"][i]);
  request.erase("n_probs");
  request["logprobs"] = 3;  // not a word of this form
  EXPECT_FALSE(body_of(post("/completion", request.dump())).contains("completion_probabilities"));
}

TEST_F(Server, WithoutASeedAnswersDiffer) {
  const char* request =
      R"({"prompt":"Once","n_predict":24,"temperature":1.5,"ignore_eos":true,"cache_prompt":true})";
  EXPECT_NE(body_of(post("/completion", request))["content"],
            body_of(post("/completion", request))["content"]);
}

}  // namespace
}  // namespace moge::serve
