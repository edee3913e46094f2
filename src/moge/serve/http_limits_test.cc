// What a server does at its limits: connections, idle clients, the end; and Unix sockets.
#include <sys/un.h>

#include <chrono>
#include <filesystem>

#include "moge/core/error.h"
#include "moge/serve/test_server.h"

namespace moge::serve {
namespace {

/// A second server for the same service, with options of its own.
class SecondServer {
 public:
  SecondServer(const Service& service, ServerOptions options)
      : server_(service, options), network_([this] { server_.run(); }) {}
  ~SecondServer() { stop(); }
  void stop() {
    if (!network_.joinable()) return;
    server_.stop();
    network_.join();
  }
  int port() const { return server_.port(); }

 private:
  HttpServer server_;
  std::thread network_;
};

TEST_F(Server, AConnectionTooManyIsClosedAndSaid) {
  std::vector<std::string> lines;
  SecondServer second(
      *service_,
      {.port = 0, .max_connections = 1, .log = [&](const std::string& l) { lines.push_back(l); }});
  {
    const Client first(second.port());
    first.send_text("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(status_of(first.read_some()), 200);
    const Client refused(second.port());
    EXPECT_EQ(refused.read_all(), "");
  }
  second.stop();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("refused 1"), std::string::npos) << lines[0];
}

TEST_F(Server, LogsRequestsWithoutTheirTexts) {
  std::vector<std::string> lines;
  SecondServer second(*service_, {.port = 0,
                                  .log_requests = true,
                                  .log = [&](const std::string& line) { lines.push_back(line); }});
  const Client client(second.port());
  client.post("/v1/completions?secret=1", R"({"prompt":"private","max_tokens":1})");
  EXPECT_EQ(status_of(client.read_all()), 200);
  second.stop();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_TRUE(lines[0].starts_with("POST /v1/completions 200 ")) << lines[0];
}

TEST_F(Server, IdleAndSlowClientsAreLetGo) {
  SecondServer second(*service_, {.port = 0, .keep_alive_timeout_s = 0.1, .header_timeout_s = 0.1});
  const auto start = std::chrono::steady_clock::now();
  const Client idle(second.port());
  EXPECT_EQ(idle.read_all(), "");
  for (const char* part :
       {"GET /health HT", "POST /tokenize HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"}) {
    const Client slow(second.port());
    slow.send_text(part);
    const std::string answer = slow.read_all();
    EXPECT_EQ(status_of(answer), 408) << part << answer;
    EXPECT_NE(body_of(answer)["error"]["message"].dump().find("0.1 s"), std::string::npos);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_F(Server, RunningRequestsEndAfterStop) {
  SecondServer second(*service_, {.port = 0});
  const Client client(second.port());
  client.post("/v1/completions",
              R"({"prompt":"abc","max_tokens":80,"stream":true,"ignore_eos":true})");
  const std::string begun = client.read_some();
  second.stop();
  EXPECT_NE((begun + client.read_all()).find("data: [DONE]"), std::string::npos);
}

TEST_F(Server, ListensOnAUnixSocket) {
  const std::string path =
      std::filesystem::temp_directory_path() / ("moge_test_" + std::to_string(getpid()));
  SecondServer second(*service_, {.uds = path});
  EXPECT_THROW(HttpServer(*service_, {.uds = path}), Error) << "somebody listens there";
  const int client = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{.sun_family = AF_UNIX};
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const std::string request = "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  ASSERT_EQ(send(client, request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
  char block[512];
  const ssize_t got = recv(client, block, sizeof(block), 0);
  EXPECT_EQ(status_of(std::string(block, static_cast<size_t>(std::max<ssize_t>(0, got)))), 200);
  close(client);
  second.stop();
}

TEST_F(Server, WrongTlsFilesAreNamed) {
  const auto refused = [&](ServerOptions options) {
    try {
      HttpServer server(*service_, options);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(refused({.port = 0, .ssl_keyfile = "/none"}).find("--ssl-certfile"), std::string::npos);
  EXPECT_NE(
      refused({.port = 0, .ssl_keyfile = "/none", .ssl_certfile = "/nowhere"}).find("/nowhere"),
      std::string::npos);
  EXPECT_NE(refused({.uds = std::string(200, 'x')}).find("200 characters"), std::string::npos);
}

}  // namespace
}  // namespace moge::serve
