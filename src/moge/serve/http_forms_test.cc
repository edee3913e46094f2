// What HTTP lets a client write in more than one way.
#include <chrono>

#include "moge/core/error.h"
#include "moge/serve/request_target.h"
#include "moge/serve/test_server.h"

namespace moge::serve {
namespace {

constexpr const char* kThree =
    R"({"prompt":"abc","max_tokens":3,"temperature":0,"ignore_eos":true)";

TEST(PathOf, IsTheSameHoweverItIsWritten) {
  for (const char* target :
       {"/v1/models", "/v1/models/", "/v1//models", "/v1/models?x=/y", "/v1/%6Dodels",
        "/v1%2Fmodels", "http://host:8080/v1/models", "https://host/v1/models/?x"})
    EXPECT_EQ(path_of(target), "/v1/models") << target;
  for (const char* target : {"/", "//", "", "?x", "http://host", "http://host?x"})
    EXPECT_EQ(path_of(target), "/") << target;
  EXPECT_EQ(path_of("/a%2"), "/a%2");
  EXPECT_EQ(path_of("/a%zz%"), "/a%zz%");
  EXPECT_EQ(path_of("/a%+1"), "/a%+1");
  EXPECT_EQ(path_of("/%F0%9F%98%80"), "/\xF0\x9F\x98\x80");
}

TEST_F(Server, FindsPathsHoweverTheyAreWritten) {
  for (const char* target :
       {"/v1/models/", "/v1//models", "/%76%31/models", "http://x/v1/models", "/v1/models?a=b"})
    EXPECT_EQ(body_of(get(target))["data"][0]["id"], "tiny") << target;
  EXPECT_EQ(body_of(get("/v1/models/tiny"))["id"], "tiny");
  EXPECT_EQ(body_of(get("/v1/models/tin%79"))["object"], "model");
  service_->model_name = "org/tiny";
  EXPECT_EQ(body_of(get("/v1/models/org/tiny"))["id"], "org/tiny");
  EXPECT_EQ(body_of(get("/v1/models/org%2Ftiny"))["id"], "org/tiny");
  const std::string other = get("/v1/models/other");
  EXPECT_EQ(status_of(other), 404);
  EXPECT_EQ(body_of(other)["error"]["code"], "model_not_found");
  service_->api_keys = {"key"};
  EXPECT_EQ(status_of(get("/%76%31/models/")), 401);
  EXPECT_NE(get("/v1/models").find("\r\nWWW-Authenticate: Bearer\r\n"), std::string::npos);
}

TEST_F(Server, CompressedBodiesAreRefused) {
  const auto with_encoding = [&](const std::string& encoding) {
    const Client client(server_->port());
    client.send_text("POST /tokenize HTTP/1.1\r\nConnection: close\r\nContent-Encoding: " +
                     encoding + "\r\nContent-Length: 16\r\n\r\n{\"prompt\":\"abc\"}");
    return client.read_all();
  };
  EXPECT_EQ(status_of(with_encoding("gzip")), 415);
  EXPECT_NE(with_encoding("br").find("\r\nAccept-Encoding: identity\r\n"), std::string::npos);
  EXPECT_EQ(status_of(with_encoding("identity")), 200);
}

TEST_F(Server, BodiesComeInChunksAndAfterAPermission) {
  const Client chunks(server_->port());
  chunks.send_text(
      "POST /tokenize HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: "
      "chunked\r\n\r\n"
      "9;x=y\r\n{\"prompt\"\r\n7\r\n:\"abc\"}\r\n0\r\nTrailer: z\r\n\r\n");
  EXPECT_EQ(body_of(chunks.read_all())["count"], 3);
  for (const char* expect : {"100-continue", "100-Continue"}) {
    const Client waits(server_->port());
    waits.send_text(std::string("POST /tokenize HTTP/1.1\r\nHost: x\r\nConnection: close\r\n") +
                    "Expect: " + expect + "\r\nContent-Length: 16\r\n\r\n");
    EXPECT_EQ(waits.read_some(), "HTTP/1.1 100 Continue\r\n\r\n");
    waits.send_text(R"({"prompt":"abc"})");
    EXPECT_EQ(body_of(waits.read_all())["count"], 3);
  }
  const Client both(server_->port());
  both.send_text(
      "POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: "
      "chunked\r\n\r\n"
      "0\r\n\r\n");
  EXPECT_EQ(status_of(both.read_all()), 400) << "which of the two lengths is it?";
  const Client large(server_->port());
  large.send_text("GET /health HTTP/1.1\r\nHost: x\r\nX: " + std::string(70000, 'x') + "\r\n\r\n");
  EXPECT_EQ(status_of(large.read_all()), 431);
}

TEST_F(Server, RequestsMayFollowEachOtherBeforeTheirAnswers) {
  const Client client(server_->port());
  const std::string stream = std::string(kThree) + R"(,"stream":true})";
  client.send_text("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                   std::to_string(stream.size()) + "\r\n\r\n" + stream +
                   "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
                   "GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string all = client.read_all();
  const size_t done = all.find("data: [DONE]"), health = all.find("\"status\":\"ok\"");
  EXPECT_LT(done, health) << all;
  EXPECT_LT(health, all.find("\"version\":")) << all;
}

TEST_F(Server, OldClientsGetStreamsWithoutChunks) {
  const std::string body = std::string(kThree) + R"(,"stream":true})";
  const Client client(server_->port());
  client.send_text("POST /v1/completions HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: " +
                   std::to_string(body.size()) + "\r\n\r\n" + body);
  const std::string streamed = client.read_all();  // ends: no length could say where
  EXPECT_TRUE(streamed.starts_with("HTTP/1.0 200")) << streamed;
  EXPECT_EQ(streamed.find("Transfer-Encoding"), std::string::npos);
  const std::string events = streamed.substr(streamed.find("\r\n\r\n") + 4);
  EXPECT_TRUE(events.starts_with("data: {")) << events;
  EXPECT_TRUE(events.ends_with("data: [DONE]\n\n")) << events;
}

TEST_F(Server, SilentStreamsSayThatTheyLive) {
  service_->silence = std::chrono::milliseconds(0);
  const std::string streamed = post("/v1/completions", std::string(kThree) + R"(,"stream":true})");
  EXPECT_NE(streamed.find("\r\n: still here\n\n\r\n"), std::string::npos);
  service_->silence = std::chrono::seconds(15);
  const std::string whole = post("/v1/completions", std::string(kThree) + "}");
  std::string text;
  for (const json& event : events_of(streamed))
    text += event["choices"][0]["text"].get<std::string>();
  EXPECT_EQ(text, body_of(whole)["choices"][0]["text"].get<std::string>());
  EXPECT_EQ(post("/v1/completions", std::string(kThree) + R"(,"stream":true})").find(": still"),
            std::string::npos);
}

}  // namespace
}  // namespace moge::serve
