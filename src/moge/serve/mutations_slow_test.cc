// Requests mutated from valid ones, over real sockets: each gets a well-formed answer, never a 5xx
// but the documented 501, never a silent close; nothing is left behind.
#include <random>

#include "moge/core/error.h"
#include "moge/serve/test_server.h"

namespace moge::serve {
namespace {

struct Valid {
  const char *path, *body;
};

constexpr Valid kValid[] = {
    {"/v1/completions", R"({"model":"tiny","prompt":"Tom has","max_tokens":2,"logprobs":2,"n":2,
      "temperature":0.5,"top_p":0.9,"top_k":4,"min_p":0.1,"seed":7,"stop":["x"],"echo":true,
      "logit_bias":{"5":1.5},"presence_penalty":0.1,"repetition_penalty":1.1,"stream":false})"},
    {"/v1/completions", R"({"prompt":[1,2,3],"max_tokens":2,"prompt_logprobs":1,"min_tokens":1,
      "best_of":2,"ignore_eos":true,"guided_regex":"[ab]{1,2}","priority":1,"cache_salt":"s"})"},
    {"/v1/chat/completions", R"({"messages":[{"role":"system","content":"Be brief."},
      {"role":"user","content":[{"type":"text","text":"How?"}]}],"max_tokens":2,"logprobs":true,
      "top_logprobs":2,"stream":true,"stream_options":{"include_usage":true},"response_format":
      {"type":"json_schema","json_schema":{"schema":{"type":"array","maxItems":1}}}})"},
    {"/v1/chat/completions", R"({"messages":[{"role":"user","content":"How?"}],"max_tokens":4,
      "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object",
      "properties":{"a":{"enum":[1,2]}}}}}],"parallel_tool_calls":false,
      "tool_choice":{"type":"function","function":{"name":"f"}}})"},
    {"/v1/responses", R"({"input":[{"role":"user","content":[{"type":"input_text","text":"How?"}]},
      {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
      {"type":"function_call_output","call_id":"c","output":"4"}],"max_output_tokens":2,
      "tools":[{"type":"function","name":"f","parameters":{}}],"tool_choice":"required"})"},
    {"/v1/messages", R"({"max_tokens":2,"system":"Be brief.","stop_sequences":["x"],
      "tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"any"},
      "messages":[{"role":"user","content":[{"type":"text","text":"How?"}]},
      {"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f","input":{"a":1}}]},
      {"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"4"}]}]})"},
    {"/v1/messages/count_tokens", R"({"messages":[{"role":"user","content":"How?"}]})"},
    {"/v1/embeddings", R"({"input":["Tom","has"],"encoding_format":"base64"})"},
    {"/completion", R"({"prompt":"Tom has","n_predict":2,"temperature":0.3,"stop":["x"],
      "n_probs":1,"grammar":"root ::= [a-c]+"})"},
    {"/tokenize", R"({"prompt":"Tom has","add_special_tokens":true,"return_token_strs":true})"},
    {"/detokenize", R"({"tokens":[1,2,3]})"},
    {"/apply-template", R"({"messages":[{"role":"user","content":"How?"}]})"}};

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : rng_(seed) {}

  Valid pick() { return kValid[below(std::size(kValid))]; }
  std::string mutated(const char* valid) {
    json body = json::parse(valid);
    for (size_t n = 1 + below(3) / 2; n > 0; --n) change(inner_of(body));
    std::string text = body.dump();
    if (below(7) == 0)
      for (size_t n = 1 + below(4); n > 0; --n) damage(text);
    return text;
  }

 private:
  size_t below(size_t n) { return static_cast<size_t>(rng_() % n); }

  /// Any value inside, the deeper ones too.
  json& inner_of(json& body) {
    json* at = &body;
    while (at->is_structured() && !at->empty() && (at == &body || below(3) > 0)) {
      auto it = at->begin();
      std::advance(it, static_cast<ptrdiff_t>(below(at->size())));
      at = &*it;
    }
    return *at;
  }
  void change(json& value) {
    static const json kOdd[] = {nullptr,
                                true,
                                0,
                                -1,
                                1,
                                1e308,
                                0.5,
                                "",
                                "x",
                                "none",
                                "\n",
                                "[",
                                json::array(),
                                json::object(),
                                {{"a", nullptr}},
                                {{{}}},
                                int64_t{1} << 31,
                                INT64_MAX,
                                INT64_MIN,
                                UINT64_MAX,
                                std::string(5000, 'x'),
                                std::vector<int>(300),
                                json::array({json::array()}),
                                {1, "x"},
                                {{"type", "x"}}};
    const size_t what = below(10);
    if (what < 6 || !value.is_structured() || value.empty()) {
      value = kOdd[below(std::size(kOdd))];
    } else if (value.is_array()) {
      value.push_back(value[below(value.size())]);
    } else {
      auto member = value.begin();
      std::advance(member, static_cast<ptrdiff_t>(below(value.size())));
      const json kept = *member;
      const std::string key = member.key();
      value.erase(member);
      if (what == 9) value[key + "_"] = kept;
    }
  }
  void damage(std::string& text) {
    const size_t at = below(text.size() + 1);
    const size_t what = below(3);
    if (what == 0 && at < text.size()) text[at] = static_cast<char>(rng_());
    if (what == 1) text.erase(at, 1 + below(20));
    if (what == 2) text.insert(at, text.substr(at / 2, 30));
  }

  std::mt19937_64 rng_;
};

/// Answers may be chunked events; errors are JSON.
std::string wrong_with(const std::string& response) {
  const int status = status_of(response);
  const bool expected = (status >= 200 && status < 300) || (status >= 400 && status < 500);
  if (!expected && status != 501) return response.empty() ? "a silent close" : response;
  if (response.find("server_error") != std::string::npos) return response;
  if (status < 400) return "";
  const json body = body_of(response);
  const bool said = body.is_object() && body.contains("error") &&
                    body["error"].value("message", json()).is_string();
  return said ? "" : response;
}

TEST_F(Server, MutatedRequestsMeetWellFormedAnswers) {
  use_template();
  service_->tool_form = find_tool_form("hermes");
  std::vector<std::thread> clients;
  for (uint64_t client = 0; client < 3; ++client)
    clients.emplace_back([this, client] {
      Mutator mutator(client);
      for (int i = 0; i < 3000 && !HasFailure(); ++i) {
        const Valid valid = mutator.pick();
        const std::string body = mutator.mutated(valid.body);
        const std::string wrong = wrong_with(post(valid.path, body));
        EXPECT_EQ(wrong, "") << valid.path << " " << body.substr(0, 1000);
      }
    });
  for (std::thread& client : clients) client.join();
  settle();
  const infer::EngineStats stats = engine_->stats();
  EXPECT_EQ(stats.running + stats.waiting, 0);
  EXPECT_EQ(stats.pages_used, 0);
  for (const Valid& valid : kValid)
    EXPECT_EQ(status_of(post(valid.path, valid.body)), 200) << valid.path << valid.body;
}

}  // namespace
}  // namespace moge::serve
