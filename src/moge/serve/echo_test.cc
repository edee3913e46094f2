// The prompt and its log-probabilities in the answer, as loglikelihood tasks ask for them; the
// best of several answers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "moge/infer/sampling.h"
#include "moge/serve/test_server.h"

namespace moge::serve {
namespace {

class Echo : public Server {
 protected:
  /// A plain forward pass: the log-probability of every token of `ids` after the first.
  std::vector<double> expected(const std::vector<int32_t>& ids) {
    engine_->drain();
    infer::ModelRunner runner(pool_, kernels::choose_table(), loaded_.model,
                              {.max_tokens = 64, .max_sequences = 64, .num_pages = 4});
    const std::vector<int32_t> pages = {0, 1, 2};
    const infer::StepSlice slice{.ids = ids,
                                 .pages = pages,
                                 .wants_logits = true,
                                 .logit_rows = static_cast<int64_t>(ids.size())};
    runner.step(std::span(&slice, 1));
    std::vector<double> logprobs;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto logits = runner.logits(static_cast<int64_t>(i));
      logprobs.push_back(logits[static_cast<size_t>(ids[i + 1])] - infer::log_sum_exp(logits));
    }
    return logprobs;
  }
  json ask(json body) {
    const std::string response = post("/v1/completions", body.dump());
    EXPECT_EQ(status_of(response), 200) << response;
    return body_of(response);
  }
};

TEST_F(Echo, GivesThePromptsLogprobsAndNothingElseWithoutTokens) {
  const std::vector<int32_t> ids = {72, 101, 108, 108, 111, 44, 32, 119};
  const auto logprobs = expected(ids);
  const json body = ask({{"prompt", ids}, {"echo", true}, {"logprobs", 1}, {"max_tokens", 0}});
  const json& choice = body["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_EQ(body["usage"]["completion_tokens"], 0);
  const json& given = choice["logprobs"];
  ASSERT_EQ(given["token_logprobs"].size(), ids.size());
  EXPECT_TRUE(given["token_logprobs"][0].is_null());
  EXPECT_TRUE(given["top_logprobs"][0].is_null());
  for (size_t i = 1; i < ids.size(); ++i) {
    EXPECT_NEAR(given["token_logprobs"][i].get<double>(), logprobs[i - 1], 1e-5) << i;
    double best = -1e9;
    for (const auto& [text, logprob] : given["top_logprobs"][i].items())
      best = std::max(best, logprob.get<double>());
    EXPECT_GE(best, given["token_logprobs"][i].get<double>());
  }
}

TEST_F(Echo, TheAnswerFollowsThePrompt) {
  const json plain = ask({{"prompt", "Hello"},
                          {"max_tokens", 4},
                          {"temperature", 0},
                          {"ignore_eos", true},
                          {"logprobs", 0}});
  const json echoed = ask({{"prompt", "Hello"},
                           {"max_tokens", 4},
                           {"temperature", 0},
                           {"ignore_eos", true},
                           {"logprobs", 0},
                           {"echo", true}});
  const json &before = plain["choices"][0], &after = echoed["choices"][0];
  EXPECT_EQ(after["text"], "Hello" + before["text"].get<std::string>());
  EXPECT_EQ(after["logprobs"]["tokens"].size(), 9u);
  EXPECT_EQ(after["logprobs"]["tokens"][1], "e");
  EXPECT_EQ(after["logprobs"]["text_offset"][5], 5);
  for (size_t i = 0; i < 4; ++i)
    EXPECT_EQ(after["logprobs"]["token_logprobs"][5 + i], before["logprobs"]["token_logprobs"][i]);
  EXPECT_EQ(echoed["usage"]["prompt_tokens"], 5);
}

TEST_F(Echo, WorksWithoutLogprobsForManyPromptsAndStreamed) {
  const json body = ask({{"prompt", {"ab", "cde"}}, {"max_tokens", 0}, {"echo", true}});
  EXPECT_EQ(body["choices"][0]["text"], "ab");
  EXPECT_EQ(body["choices"][1]["text"], "cde");
  EXPECT_TRUE(body["choices"][0]["logprobs"].is_null());
  const std::string stream =
      post("/v1/completions", R"({"prompt":"xyz","max_tokens":2,"echo":true,"stream":true})");
  EXPECT_NE(stream.find(R"("text":"xyz")"), std::string::npos) << stream;
  EXPECT_NE(stream.find("[DONE]"), std::string::npos);
}

/// Loglikelihood tasks ask for one token and cut its log-probability off: it must be there even
/// where it ends the answer.
TEST_F(Echo, AnEndTokenHasItsLogprobToo) {
  const json ended = ask({{"prompt", "Hello"},
                          {"max_tokens", 1},
                          {"temperature", 0},
                          {"logprobs", 1},
                          {"echo", true},
                          {"logit_bias", {{"72", 100}}},
                          {"stop_token_ids", {72}}});
  const json& given = ended["choices"][0];
  EXPECT_EQ(given["finish_reason"], "stop");
  EXPECT_EQ(given["text"], "Hello");
  EXPECT_EQ(given["logprobs"]["tokens"].size(), 6u);
  ASSERT_EQ(given["logprobs"]["token_logprobs"].size(), 6u);
  std::vector<int32_t> ids = tokenizer_->encode("Hello", /*add_special=*/true);
  ids.push_back(72);
  EXPECT_NEAR(given["logprobs"]["token_logprobs"][5].get<double>(), expected(ids)[4], 1e-5);
}

TEST_F(Echo, PromptLogprobsComeBesideTheAnswer) {
  const std::vector<int32_t> ids = {72, 101, 108, 108, 111};
  const auto logprobs = expected(ids);
  const json request = {{"prompt", ids}, {"max_tokens", 3}, {"temperature", 0}, {"logprobs", 0}};
  json asked = request;
  asked["prompt_logprobs"] = 2;
  const json plain = ask(request)["choices"][0], choice = ask(asked)["choices"][0];
  EXPECT_EQ(choice["text"], plain["text"]);
  EXPECT_EQ(choice["logprobs"], plain["logprobs"]);
  const json& given = choice["prompt_logprobs"];
  ASSERT_EQ(given.size(), ids.size());
  EXPECT_TRUE(given[0].is_null());
  for (size_t i = 1; i < ids.size(); ++i) {
    const json& own = given[i][std::to_string(ids[i])];
    EXPECT_NEAR(own["logprob"].get<double>(), logprobs[i - 1], 1e-5);
    int64_t better = 0, ranked_first = 0;
    for (const auto& [id, entry] : given[i].items()) {
      better += entry["logprob"] > own["logprob"];
      ranked_first += entry["rank"] == 1;
    }
    EXPECT_EQ(ranked_first, 1) << given[i];
    EXPECT_GE(own["rank"], better + 1) << given[i];
    EXPECT_EQ(given[i].size(), own["rank"] > 2 ? 3u : 2u) << given[i];
  }
  asked["echo"] = true;
  const json echoed = ask(asked)["choices"][0];
  EXPECT_EQ(echoed["prompt_logprobs"], given);
  EXPECT_EQ(echoed["logprobs"]["top_logprobs"][2].size(), 1u) << echoed;  // logprobs is 0
  asked["stream"] = true;
  EXPECT_EQ(body_of(post("/v1/completions", asked.dump()))["error"]["param"], "prompt_logprobs");
  use_template();
  const json chat = body_of(post("/v1/chat/completions",
                                 R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":1,)"
                                 R"("prompt_logprobs":0})"));
  EXPECT_EQ(chat["prompt_logprobs"].size(), chat["usage"]["prompt_tokens"]) << chat;
}

TEST_F(Echo, UsageTellsWhatTheCacheGave) {
  const json request = {{"prompt", std::string(40, 'x')}, {"max_tokens", 1}};
  const auto cached = [&] {
    return ask(request)["usage"]["prompt_tokens_details"]["cached_tokens"];
  };
  EXPECT_EQ(cached(), 0);
  EXPECT_EQ(cached(), 32);  // a page
}

TEST_F(Echo, TheBestOfSeveralIsTheLikeliest) {
  const json ask_for = {{"prompt", "Hello"},  {"max_tokens", 6}, {"temperature", 1.5},
                        {"ignore_eos", true}, {"logprobs", 0},   {"seed", 5}};
  json all = ask_for, best = ask_for;
  all["n"] = 6;
  best["best_of"] = 6;
  const auto mean = [](const json& choice) {
    double sum = 0;
    for (const json& logprob : choice["logprobs"]["token_logprobs"]) sum += logprob.get<double>();
    return sum / 6;
  };
  double highest = -1e9;
  const json every = ask(all);
  for (const json& choice : every["choices"]) highest = std::max(highest, mean(choice));
  const json body = ask(best);
  ASSERT_EQ(body["choices"].size(), 1u);
  EXPECT_DOUBLE_EQ(mean(body["choices"][0]), highest);
}

}  // namespace
}  // namespace moge::serve
