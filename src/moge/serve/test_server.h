// A server over real sockets with a random model, and a client for it.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "moge/infer/model_runner.h"
#include "moge/model/load.h"
#include "moge/serve/http_server.h"
#include "moge/text/tokenizer_files.h"

namespace moge::serve {

using nlohmann::json;

/// A client's connection; reads until the server closes it.
class Client {
 public:
  explicit Client(int port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ~Client() { close(socket_); }
  void send_text(const std::string& text) const {
    EXPECT_EQ(send(socket_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  void post(const std::string& path, const std::string& body) const {
    send_text("POST " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  std::string read_some() const {
    char block[4096];
    const ssize_t got = recv(socket_, block, sizeof(block), 0);
    return got > 0 ? std::string(block, static_cast<size_t>(got)) : std::string();
  }
  std::string read_all() const {
    std::string all;
    for (std::string piece; !(piece = read_some()).empty();) all += piece;
    return all;
  }

 private:
  int socket_;
};

inline int status_of(const std::string& response) {
  return response.size() > 12 ? std::stoi(response.substr(9, 3)) : 0;
}
inline json body_of(const std::string& response) {
  return json::parse(response.substr(response.find("\r\n\r\n") + 4), nullptr, false);
}

class Server : public ::testing::Test {
 protected:
  static constexpr int64_t kContext = 96;

  /// `more_tokens` are control tokens, ids from 259 on.
  explicit Server(const std::vector<std::string>& more_tokens = {})
      : loaded_(load_model(Context{pool_, kernels::choose_table(), scratch_},
                           find_model("preset:tiny"), {.dtype = DType::kF32, .seed = 1})) {
    text::ByteLevelVocabulary vocabulary{.tokens = text::byte_tokens(),
                                         .special_tokens = text::kSpecialTokens,
                                         .eos = text::kSpecialTokens[0],
                                         .pad = text::kSpecialTokens[0]};
    vocabulary.special_tokens.insert(vocabulary.special_tokens.end(), more_tokens.begin(),
                                     more_tokens.end());
    const text::TokenizerFiles files = text::tokenizer_files(vocabulary);
    tokenizer_ = Tokenizer::from_json(files.tokenizer_json, files.config_json, "test");
    runner_ = std::make_unique<infer::ModelRunner>(
        pool_, kernels::choose_table(), loaded_.model,
        infer::RunnerOptions{.max_tokens = 64, .max_sequences = 8, .num_pages = 32});
    experts_.emplace(loaded_.model.config);
    engine_ =
        std::make_unique<infer::Engine>(*runner_, infer::EngineOptions{.max_model_len = kContext,
                                                                       .max_num_seqs = 8,
                                                                       .max_num_batched_tokens = 64,
                                                                       .max_queue = 24,
                                                                       .observer = &*experts_});
    service_ = std::make_unique<Service>(Service{.model_name = "tiny",
                                                 .config = loaded_.model.config,
                                                 .tokenizer = *tokenizer_,
                                                 .chat_template = nullptr,
                                                 .engine = *engine_,
                                                 .max_num_seqs = 8,
                                                 .experts = &*experts_});
    server_ = std::make_unique<HttpServer>(*service_, ServerOptions{.port = 0});
    network_ = std::thread([this] { server_->run(); });
  }
  ~Server() override {
    server_->stop();
    network_.join();
  }
  /// `head` is the request line, with further header lines if any.
  std::string request(const std::string& head) const {
    const Client client(server_->port());
    client.send_text(head + "\r\nHost: x\r\nConnection: close\r\n\r\n");
    return client.read_all();
  }
  std::string get(const std::string& path) const { return request("GET " + path + " HTTP/1.1"); }
  std::string post(const std::string& path, const std::string& body) const {
    const Client client(server_->port());
    client.post(path, body);
    return client.read_all();
  }

  /// Until nothing runs and the engine has counted its last step.
  void settle() const {
    engine_->drain();
    for (int i = 0; i < 200 && engine_->stats().running > 0; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  /// The data of each server-sent event of a response.
  static std::vector<json> events_of(const std::string& response) {
    std::vector<json> events;
    for (size_t at = 0; (at = response.find("data: {", at)) != std::string::npos; ++at)
      events.push_back(json::parse(response.substr(at + 6, response.find('\n', at) - at - 6)));
    return events;
  }
  /// From here on the model has a chat template.
  void use_template(
      const char* source = "{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}") {
    template_ = text::ChatTemplate::parse(source);
    service_->chat_template = &*template_;
  }

  ThreadPool pool_{2};
  Arena scratch_{size_t{32} << 20};
  LoadedModel loaded_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<infer::ModelRunner> runner_;
  std::optional<infer::ExpertRecorder> experts_;
  std::unique_ptr<infer::Engine> engine_;
  std::optional<text::ChatTemplate> template_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<HttpServer> server_;
  std::thread network_;
};

}  // namespace moge::serve
