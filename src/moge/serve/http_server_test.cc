// The server over real sockets, with a random model.
#include <algorithm>

#include "moge/core/error.h"
#include "moge/serve/api_request.h"
#include "moge/serve/test_server.h"

namespace moge::serve {
namespace {

TEST_F(Server, AnswersTheSimpleRoutes) {
  EXPECT_EQ(status_of(get("/health")), 200);
  const json models = body_of(get("/v1/models"));
  EXPECT_EQ(models["data"][0]["id"], "tiny");
  EXPECT_EQ(models["data"][0]["max_model_len"], kContext);
  const std::string page = get("/");
  EXPECT_EQ(status_of(page), 200);
  EXPECT_NE(page.find("<canvas"), std::string::npos);
  EXPECT_NE(page.find("Content-Security-Policy: default-src 'none'; script-src 'sha256-"),
            std::string::npos);
  EXPECT_EQ(page.find("{{"), std::string::npos);        // style and script stand in their places
  EXPECT_EQ(page.find("https://"), std::string::npos);  // no outside request
}

TEST_F(Server, TurnsTextsIntoTokensAndBack) {
  const json vllm = body_of(post("/tokenize", R"({"prompt":"abc","return_token_strs":true})"));
  EXPECT_EQ(vllm["count"], 3);
  EXPECT_EQ(vllm["max_model_len"], kContext);
  EXPECT_EQ(vllm["token_strs"], json({"a", "b", "c"}));
  const json llama = body_of(post("/tokenize", R"({"content":"abc","with_pieces":true})"));
  EXPECT_EQ(llama["tokens"][1]["piece"], "b");
  EXPECT_EQ(llama["tokens"][1]["id"], vllm["tokens"][1]);
  const json back = body_of(post("/detokenize", json{{"tokens", vllm["tokens"]}}.dump()));
  EXPECT_EQ(back["prompt"], "abc");
  EXPECT_EQ(back["content"], "abc");
  for (const char* body : {"{}", R"({"prompt":7})", R"({"tokens":[1]})"})
    EXPECT_EQ(status_of(post("/tokenize", body)), 400) << body;
  for (const char* body : {"{}", R"({"tokens":["a"]})", R"({"tokens":[99999]})"})
    EXPECT_EQ(body_of(post("/detokenize", body))["error"]["param"], "tokens") << body;
  EXPECT_EQ(status_of(post("/apply-template", R"({"messages":[{"role":"user"}]})")), 400);
}

TEST_F(Server, SaysWhatItIs) {
  EXPECT_EQ(status_of(get("/ping")), 200);
  EXPECT_EQ(status_of(post("/ping", "")), 200);
  EXPECT_FALSE(body_of(get("/version"))["version"].get<std::string>().empty());
  const json props = body_of(get("/props"));
  EXPECT_EQ(props["default_generation_settings"]["n_ctx"], kContext);
  EXPECT_EQ(props["total_slots"], 8);
  const json slots = body_of(get("/slots"));
  ASSERT_EQ(slots.size(), 8u);
  EXPECT_EQ(slots[0]["is_processing"], false);
}

TEST_F(Server, AnswersHeadAndPreflight) {
  const std::string head = request("HEAD /health HTTP/1.1");
  EXPECT_EQ(status_of(head), 200);
  EXPECT_NE(head.find("Content-Length: 15"), std::string::npos) << head;
  EXPECT_EQ(head.substr(head.find("\r\n\r\n")), "\r\n\r\n");
  EXPECT_EQ(status_of(request("HEAD /v1/completions HTTP/1.1")), 405);
  const std::string preflight = request("OPTIONS /v1/chat/completions HTTP/1.1");
  EXPECT_EQ(status_of(preflight), 204);
  EXPECT_NE(preflight.find("Access-Control-Allow-Origin: *"), std::string::npos);
  EXPECT_NE(preflight.find("POST"), std::string::npos);
  EXPECT_NE(get("/v1/models").find("Access-Control-Allow-Origin: *"), std::string::npos);
}

TEST_F(Server, WantsOneOfItsKeys) {
  service_->api_keys = {"first", "second"};
  for (const char* open : {"/", "/health", "/ping"}) EXPECT_EQ(status_of(get(open)), 200) << open;
  const std::string refused = get("/v1/models");
  EXPECT_EQ(status_of(refused), 401);
  EXPECT_EQ(body_of(refused)["error"]["code"], "invalid_api_key");
  const auto with = [&](const char* header) {
    return status_of(request(std::string("GET /v1/models HTTP/1.1\r\n") + header));
  };
  EXPECT_EQ(with("Authorization: Bearer first"), 200);
  EXPECT_EQ(with("authorization: bearer second"), 200);
  EXPECT_EQ(with("x-api-key: second"), 200);
  for (const char* wrong : {"Authorization: Bearer firs", "Authorization: Bearer firstt",
                            "Authorization: first", "Authorization: Bearer "})
    EXPECT_EQ(with(wrong), 401) << wrong;
  EXPECT_EQ(status_of(request("OPTIONS /v1/models HTTP/1.1")), 204);
}

TEST_F(Server, CountsWhatItDoes) {
  post("/v1/completions", R"({"prompt":"abc","max_tokens":5,"ignore_eos":true})");
  settle();
  const std::string text = get("/metrics");
  EXPECT_EQ(status_of(text), 200);
  EXPECT_NE(text.find("Content-Type: text/plain; version=0.0.4"), std::string::npos);
  const std::string labels = R"({model_name="tiny",engine="0"})";
  for (const std::string& line :
       {"vllm:num_requests_running" + labels + " 0", "vllm:prompt_tokens_total" + labels + " 3",
        "vllm:generation_tokens_total" + labels + " 5",
        "vllm:time_to_first_token_seconds_count" + labels + " 1",
        "vllm:inter_token_latency_seconds_count" + labels + " 4",
        "vllm:e2e_request_latency_seconds_count" + labels + " 1",
        std::string(R"(vllm:request_success_total{model_name="tiny",engine="0",)"
                    R"(finished_reason="length"} 1)"),
        std::string(R"(vllm:e2e_request_latency_seconds_bucket{model_name="tiny",engine="0",)"
                    R"(le="+Inf"} 1)"),
        std::string("llamacpp:tokens_predicted_total 5"),
        std::string("# TYPE vllm:e2e_request_latency_seconds histogram")})
    EXPECT_NE(text.find("\n" + line + "\n"), std::string::npos) << line << "\n" << text;
}

TEST_F(Server, AFullQueueIsSaidAndLeavesNothingBehind) {
  const std::string refused =
      post("/v1/completions", R"({"prompt":"x","n":128,"max_tokens":90,"ignore_eos":true})");
  EXPECT_EQ(status_of(refused), 429) << refused;
  EXPECT_NE(refused.find("Retry-After: "), std::string::npos);
  EXPECT_EQ(body_of(refused)["error"]["code"], "queue_full");
  settle();
  EXPECT_LT(engine_->stats().output_tokens, 128 * 90 / 8);  // cancelled, not computed to the end
  EXPECT_EQ(status_of(post("/v1/completions", R"({"prompt":"x","max_tokens":1})")), 200);
}

TEST_F(Server, CompletesWholeAndStreamedWithTheSameText) {
  const std::string request =
      R"({"prompt":"Once","max_tokens":12,"temperature":0,"ignore_eos":true)";
  const std::string whole = post("/v1/completions", request + "}");
  ASSERT_EQ(status_of(whole), 200) << whole;
  const json body = body_of(whole);
  EXPECT_EQ(body["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(body["usage"]["completion_tokens"], 12);
  EXPECT_EQ(body["usage"]["prompt_tokens"], 4);
  const std::string streamed =
      post("/v1/completions", request + R"(,"stream":true,"return_routed_experts":true,)"
                                        R"("return_plain_topk_experts":true,)"
                                        R"("stream_options":{"include_usage":true}})");
  std::string text;
  int tokens = 0;
  for (size_t at = 0; (at = streamed.find("data: {", at)) != std::string::npos; ++at) {
    const json event = json::parse(streamed.substr(at + 6, streamed.find('\n', at) - at - 6));
    if (event["choices"].empty()) {
      EXPECT_EQ(event["usage"]["completion_tokens"], 12);
      continue;
    }
    text += event["choices"][0]["text"].get<std::string>();
    if (!event["choices"][0].contains("routed_experts")) continue;
    ++tokens;
    const json& experts = event["choices"][0]["routed_experts"][0];
    EXPECT_EQ(experts.size(), 4u);     // layers
    EXPECT_EQ(experts[0].size(), 4u);  // one in each of four groups
    const json& plain = event["choices"][0]["plain_topk_experts"][0];
    ASSERT_EQ(plain.size(), 4u);
    // The best expert of all is the best of its group, so both ways take it.
    EXPECT_NE(std::find(experts[0].begin(), experts[0].end(), plain[0][0]), experts[0].end());
  }
  EXPECT_EQ(text, body["choices"][0]["text"].get<std::string>());
  EXPECT_EQ(tokens, 12);
  EXPECT_NE(streamed.find("data: [DONE]"), std::string::npos);
}

TEST_F(Server, WrongRequestsMeetOpenAiErrors) {
  struct Wrong {
    const char* path;
    const char* body;
    int status;
    const char* param;
  };
  const Wrong table[] = {
      {"/v1/completions", "{", 400, nullptr},
      {"/v1/completions", "{}", 400, "prompt"},
      {"/v1/completions", R"({"prompt":""})", 400, "prompt"},
      {"/v1/completions", R"({"prompt":[99999]})", 400, "prompt"},
      {"/v1/completions", R"({"prompt":"x","model":"other"})", 404, "model"},
      {"/v1/completions", R"({"prompt":"x","temperature":-1})", 400, "temperature"},
      {"/v1/completions", R"({"prompt":"x","max_tokens":5000})", 400, nullptr},
      {"/v1/completions", R"({"prompt":"x","suffix":"y"})", 501, "suffix"},
      {"/v1/chat/completions", R"({"messages":[{"role":"user","content":"x"}]})", 400, "messages"},
      {"/nowhere", "{}", 404, nullptr},
      {"/health", "{}", 405, nullptr},
  };
  for (const Wrong& wrong : table) {
    const std::string response = post(wrong.path, wrong.body);
    EXPECT_EQ(status_of(response), wrong.status) << wrong.path << " " << wrong.body;
    const json error = body_of(response)["error"];
    EXPECT_FALSE(error["message"].get<std::string>().empty());
    if (wrong.param) {
      EXPECT_EQ(error["param"], wrong.param) << wrong.body;
    }
  }
  const std::string context = post("/v1/completions", R"({"prompt":"abc","max_tokens":5000})");
  EXPECT_NE(context.find("3 tokens and 5000 more"), std::string::npos);  // both numbers
  EXPECT_NE(context.find("96"), std::string::npos);
}

TEST_F(Server, GarbageAndOversizedBodiesAreRefused) {
  const Client garbage(server_->port());
  garbage.send_text("this is not http\r\n\r\n");
  EXPECT_EQ(status_of(garbage.read_all()), 400);
  const Client large(server_->port());
  large.send_text("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                  std::to_string(kMaxBodyBytes + 1) + "\r\n\r\n");
  large.send_text(std::string(1 << 16, 'x'));  // on its way already
  EXPECT_EQ(status_of(large.read_all()), 413);
  EXPECT_EQ(status_of(get("/health")), 200);
}

TEST_F(Server, AClientThatVanishesFreesItsPages) {
  {
    const Client client(server_->port());
    client.post("/v1/completions",
                R"({"prompt":"x","max_tokens":90,"stream":true,"ignore_eos":true})");
    EXPECT_NE(client.read_some().find("200 OK"), std::string::npos);
  }
  settle();
  EXPECT_EQ(status_of(get("/health")), 200);
  EXPECT_EQ(engine_->stats().running, 0);
}

TEST_F(Server, ManyClientsAtOnceGetWhatEachGetsAlone) {
  const auto request = [](int i) {
    return fmt::format(R"({{"prompt":"client {}","max_tokens":8,"temperature":0.9,"seed":{}}})", i,
                       i);
  };
  std::vector<std::string> alone, together(12);
  for (int i = 0; i < 12; ++i)
    alone.push_back(body_of(post("/v1/completions", request(i)))["choices"][0].dump());
  std::vector<std::thread> clients;
  for (int i = 0; i < 12; ++i)
    clients.emplace_back([&, i] {
      together[static_cast<size_t>(i)] =
          body_of(post("/v1/completions", request(i)))["choices"][0].dump();
    });
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(alone, together);
}

TEST_F(Server, APortInUseIsSaidWithItsNumber) {
  try {
    HttpServer second(*service_, ServerOptions{.port = server_->port()});
    FAIL() << "two servers on one port";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(std::to_string(server_->port())), std::string::npos);
  }
  EXPECT_THROW(HttpServer(*service_, ServerOptions{.host = "nowhere"}), Error);
}

}  // namespace
}  // namespace moge::serve
