// A request on its way through the engine.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "moge/infer/engine.h"
#include "moge/infer/kv_pages.h"

namespace moge::infer {

/// Used by the engine's thread only, once submitted.
struct Sequence {
  using Clock = std::chrono::steady_clock;

  Sequence(RequestId id_in, Request request_in, std::shared_ptr<Sink> sink_in, PagePool& pool,
           int64_t most_drafts)
      : id(id_in), request(std::move(request_in)), sink(std::move(sink_in)), pages(pool) {
    // All that it will ever need, here on the caller's thread: a step allocates nothing.
    const int64_t most = prompt_tokens() + request.sampling.max_tokens;
    tokens.reserve(static_cast<size_t>(most + most_drafts));
    tokens.assign(request.prompt.begin(), request.prompt.end());
    pages.reserve(most);
    const int most_alternatives =
        std::max({0, request.sampling.num_logprobs, request.prompt_logprobs});
    sample.top.reserve(static_cast<size_t>(most_alternatives));
    length = prompt_tokens();
  }

  int64_t prompt_tokens() const { return static_cast<int64_t>(request.prompt.size()); }
  int64_t output_tokens() const { return length - prompt_tokens(); }
  int64_t num_drafts() const { return static_cast<int64_t>(tokens.size()) - length; }
  std::span<const int32_t> history() const {
    return std::span(tokens).first(static_cast<size_t>(length));
  }
  /// One row is missing, which gives the next token.
  bool decodes() const { return length - computed == 1; }

  /// The next token is known. A draft that says so stays, and the drafts behind it: true; otherwise
  /// they go.
  bool append(int32_t token) {
    const auto next = static_cast<size_t>(length++);
    if (next < tokens.size() && tokens[next] == token) return true;
    tokens.resize(next);
    tokens.push_back(token);
    return false;
  }
  /// The mean of the hidden states pooled so far; empty where none were wanted.
  std::vector<float> embedding() const {
    std::vector<float> mean_D;
    for (double sum : hidden_D)
      mean_D.push_back(static_cast<float>(sum / static_cast<double>(prompt_pooled)));
    return mean_D;
  }
  /// An embedding needs every row computed, and nobody asks for the same text again soon.
  bool shares_pages() const { return !request.want_embedding; }
  void drop_drafts() { tokens.resize(static_cast<size_t>(length)); }

  RequestId id;
  Request request;
  std::shared_ptr<Sink> sink;
  PageTable pages;
  std::vector<int32_t> tokens;  // prompt, output, then drafts: guesses of the next ones
  int64_t length = 0;           // of prompt and output
  int64_t computed = 0;         // rows [0, computed) are in the cache
  int64_t rows = 0;             // of this step: tokens[computed, computed + rows)
  int64_t cached_tokens = 0;    // of the prompt, found in the cache at its admission
  int64_t prompt_counted = 0;   // prompt tokens that the counters have seen
  int64_t prompt_reported = 0;  // prompt rows whose log-probabilities the sink has
  int64_t prompt_pooled = 0;    // prompt rows whose hidden states hidden_D sums up
  std::vector<double> hidden_D;
  bool preempted = false;  // at least once
  Sample sample;           // the last choice
  bool chosen = false;     // it is the next token already, or there is a refusal in its place
  std::string refusal;     // why the request allows no token
  Clock::time_point arrived = Clock::now(), admitted{}, first_token{};
};

/// Who goes first: lower priority, then earlier arrival.
inline std::pair<int64_t, RequestId> precedence(const Sequence& s) {
  return {s.request.priority, s.id};
}

}  // namespace moge::infer
