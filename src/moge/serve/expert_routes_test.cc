// Experts, embeddings and llama.cpp's completion over real sockets.
#include <cmath>

#include "moge/serve/embeddings_route.h"
#include "moge/serve/expert_stats.h"
#include "moge/serve/test_server.h"

namespace moge::serve {
namespace {

TEST(LayerBalance, OfKnownCounts) {
  const LayerBalance even = balance_of({2, 2, 2, 2}, 2);
  EXPECT_DOUBLE_EQ(even.entropy, 1);
  EXPECT_DOUBLE_EQ(even.busiest_share, 0.5);
  EXPECT_EQ(even.dead, 0);
  EXPECT_EQ(even.rows, 8);
  const LayerBalance skewed = balance_of({4, 0, 3, 1}, 2);
  EXPECT_EQ(skewed.dead, 1);
  EXPECT_DOUBLE_EQ(skewed.busiest_share, 1);
  EXPECT_NEAR(skewed.entropy, (0 + 0.811278) / 2, 1e-6);
  EXPECT_EQ(balance_of({0, 0}, 1).entropy, 0);
}

TEST(Embeddings, Base64OfBytes) {
  const float one[] = {1.0f};  // 00 00 80 3f
  EXPECT_EQ(base64_of(one), "AACAPw==");
  const float three[] = {1.0f, 2.0f, -1.0f};
  EXPECT_EQ(base64_of(three), "AACAPwAAAEAAAIC/");
  EXPECT_EQ(base64_of({}), "");
}

TEST_F(Server, ShowsWhatItsExpertsDo) {
  EXPECT_EQ(body_of(get("/experts"))["tokens"], 0);
  EXPECT_EQ(status_of(post("/start_expert_distribution_record", "")), 200);
  post("/v1/completions", R"({"prompt":"abc","max_tokens":5,"ignore_eos":true})");
  settle();
  EXPECT_EQ(status_of(get("/stop_expert_distribution_record")), 200);
  for (const char* path : {"/experts", "/dump_expert_distribution_record"}) {
    const json all = body_of(get(path));
    EXPECT_EQ(all["tokens"], 7) << path;  // 3 of the prompt, 4 of 5 new ones
    ASSERT_EQ(all["layers"].size(), 4u);
    int64_t rows = 0;
    for (const json& count : all["layers"][0]["counts"]) rows += count.get<int64_t>();
    EXPECT_EQ(rows, 7 * 4);
    EXPECT_EQ(all["layers"][0]["groups"], json({7, 7, 7, 7}));
    EXPECT_EQ(all["layers"][0]["imbalance_rows"], 0);
  }
  EXPECT_EQ(body_of(get("/dump_expert_distribution_record"))["logical_count"].size(), 4u);
  const std::string metrics = get("/metrics");
  EXPECT_NE(
      metrics.find("moge:expert_imbalance_rows{model_name=\"tiny\",engine=\"0\",layer=\"3\"} 0\n"),
      std::string::npos)
      << metrics;
  int series = 0;
  for (size_t at = 0; (at = metrics.find("layer=\"3\"", at)) != std::string::npos; ++at) ++series;
  EXPECT_GT(series, 5);
  EXPECT_LE(series, 16);
  service_->experts = nullptr;
  EXPECT_EQ(status_of(get("/experts")), 501);
}

TEST_F(Server, EmbedsTexts) {
  const json two = body_of(post("/v1/embeddings", R"({"input":["abc","xyz and more"]})"));
  ASSERT_EQ(two["data"].size(), 2u) << two;
  EXPECT_EQ(two["usage"]["prompt_tokens"], 15);
  const std::vector<float> values = two["data"][0]["embedding"];
  ASSERT_EQ(values.size(), 192u);
  double squares = 0;
  for (float v : values) squares += static_cast<double>(v) * static_cast<double>(v);
  EXPECT_NEAR(squares, 1, 1e-5);
  EXPECT_NE(two["data"][1]["embedding"], two["data"][0]["embedding"]);
  const json ids = body_of(post("/v1/embeddings", R"({"input":[64,65,66],"normalize":false})"));
  EXPECT_EQ(ids["usage"]["prompt_tokens"], 3);
  const json again =
      body_of(post("/v1/embeddings", R"({"input":"abc","encoding_format":"base64","user":"x"})"));
  EXPECT_EQ(again["data"][0]["embedding"], base64_of(values));
  for (const char* body : {"{}", R"({"input":[]})", R"({"input":""})", R"({"input":[99999]})",
                           R"({"input":[[]]})", R"({"input":{"a":1}})"}) {
    const std::string refused = post("/v1/embeddings", body);
    EXPECT_EQ(status_of(refused), 400) << body;
  }
  EXPECT_EQ(status_of(post("/v1/embeddings", R"({"input":"x","dimensions":8})")), 501);
  EXPECT_EQ(status_of(post("/v1/embeddings", R"({"input":"x","encoding_format":"int8"})")), 400);
}

TEST_F(Server, EmbeddingsLeaveThePrefixCacheAlone) {
  const std::string text(70, 'x');
  EXPECT_EQ(status_of(post("/v1/embeddings", json{{"input", {text, text}}}.dump())), 200);
  const json answer =
      body_of(post("/v1/completions", json{{"prompt", text}, {"max_tokens", 1}}.dump()));
  EXPECT_EQ(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 0) << answer;
  const infer::EngineStats stats = engine_->stats();
  EXPECT_EQ(stats.prefix_queries, 70);
  EXPECT_EQ(stats.prefix_hits, 0);
}

TEST_F(Server, CompletesInLlamaCppsForm) {
  const std::string fields =
      R"({"prompt":"abc","n_predict":6,"temperature":0,"logit_bias":{"64":100})";
  const json whole = body_of(post("/completion", fields + "}"));
  EXPECT_EQ(whole["content"], "aaaaaa") << whole;
  EXPECT_EQ(whole["stop"], true);
  EXPECT_EQ(whole["stop_type"], "limit");
  EXPECT_EQ(whole["tokens_predicted"], 6);
  EXPECT_EQ(whole["timings"]["predicted_n"], 6);
  std::string text;
  json last;
  for (const json& event : events_of(post("/completion", fields + R"(,"stream":true})"))) {
    text += event["content"].get<std::string>();
    last = event;
  }
  EXPECT_EQ(text, "aaaaaa");
  EXPECT_EQ(last["stop"], true);
  const json word = body_of(post("/completion", fields + R"(,"stop":["aaa"]})"));
  EXPECT_EQ(word["stop_type"], "word");
  EXPECT_EQ(word["stopping_word"], "aaa");
  EXPECT_EQ(status_of(post("/completion", "{}")), 400);
  EXPECT_EQ(status_of(post("/completion", R"({"prompt":"a","n_predict":"x"})")), 400);
}

}  // namespace
}  // namespace moge::serve
