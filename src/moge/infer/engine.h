// The serving engine: requests come from any thread, one thread runs steps that carry any number of
// sequences with any number of new tokens each (continuous batching, chunked prefill, paged KV).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "moge/core/error.h"
#include "moge/infer/prompt_lookup.h"
#include "moge/infer/sampling.h"
#include "moge/text/token_constraint.h"

namespace moge::infer {

enum class FinishReason { kStop, kLength, kCancelled, kError };
const char* name_of(FinishReason reason);  ///< "stop", "length", "abort", "error"

/// One generated token. The spans are valid during the call only.
struct TokenEvent {
  const Sample& sample;
  /// Empty unless asked, else ids as [2][layers][top_k], -1 in dense layers: the experts that
  /// computed this token, then those that plain top-K without groups would have taken.
  std::span<const int32_t> experts_LK;
};

struct FinishEvent {
  FinishReason reason = FinishReason::kStop;
  Sample stop = {};   ///< the end token that stopped it, if any (not sent as TokenEvent)
  std::string error;  ///< one sentence, with kError
  int64_t prompt_tokens = 0, output_tokens = 0;
  int64_t cached_tokens = 0;  ///< of the prompt, not computed because the cache had them
  double queue_s = 0, prompt_s = 0, decode_s = 0;
  std::vector<float> embedding;  ///< empty unless asked for

  double prompt_tok_s() const;  ///< 0 where nothing was timed
  double decode_tok_s() const;  ///< of the tokens after the first, which the prompt's step gave
};

/// Receives a request's tokens on the engine's thread: it must be quick and must not throw.
class Sink {
 public:
  virtual ~Sink() = default;
  /// A token of the prompt from the second on, in order, before the output; only if asked for
  /// (Request::prompt_logprobs). `position` counts from 0.
  virtual void on_prompt([[maybe_unused]] int64_t position, [[maybe_unused]] const Sample& sample) {
  }
  /// Returns false to end the request (a stop string was met, the client has left).
  virtual bool on_token(const TokenEvent& event) = 0;
  /// Called exactly once, last.
  virtual void on_finish(const FinishEvent& event) = 0;
};

struct Request {
  std::vector<int32_t> prompt;  ///< at least one token
  SamplingParams sampling;
  bool want_experts = false;
  int prompt_logprobs = -1;  ///< alternatives reported with each prompt token; -1: no report
  /// The mean of the prompt's last hidden states, at the end; neither uses nor fills the cache.
  bool want_embedding = false;
  int64_t priority = 0;    ///< lower goes first; equals in order of arrival
  std::string cache_salt;  ///< requests share cached prefixes with those of the same salt only
  /// Structured output; null: any token. One per answer (clone()), shared because a request may be
  /// copied on its way to the engine. With it an end token always ends the answer.
  std::shared_ptr<TokenConstraint> constraint;
};

using RequestId = uint64_t;

class ModelRunner;

/// Sees every step on the engine's thread, before its tokens are sampled: it must be quick.
class StepObserver {
 public:
  virtual ~StepObserver() = default;
  virtual void on_step(const ModelRunner& runner, int64_t rows) = 0;
};

struct EngineOptions {
  int64_t max_model_len = 0;             ///< 0 = the model's max_position_embeddings
  int64_t max_num_seqs = 64;             ///< sequences in one step
  int64_t max_num_batched_tokens = 512;  ///< new tokens in one step
  int64_t max_queue = 4096;              ///< waiting requests; one more is refused
  bool enable_prefix_caching = true;
  SpeculationOptions speculation;
  StepObserver* observer = nullptr;  ///< must outlive the engine; null: nobody looks
};

/// Grow while requests run; counted since the start unless said otherwise.
struct EngineStats {
  int64_t running = 0, waiting = 0;         ///< now
  int64_t pages_used = 0, pages_total = 0;  ///< now; pages that only the cache holds are not used
  int64_t prompt_tokens = 0, output_tokens = 0;
  int64_t steps = 0, finished = 0, preemptions = 0;
  int64_t prefix_queries = 0, prefix_hits = 0;      ///< prompt tokens looked up, found
  int64_t drafts = 0;                               ///< of speculation: times that it guessed
  int64_t drafted_tokens = 0, accepted_tokens = 0;  ///< and the tokens of all guesses
  int64_t longest = 0;                              ///< of finished sequences, prompt and output
  double prompt_s = 0, decode_s = 0;                ///< time of steps with and without prompt rows
  double model_s = 0, observer_s = 0;               ///< of them in the model, in the observer
  int64_t step_rows = 0;                            ///< of all steps
  std::array<int64_t, 17> steps_by_rows{};          ///< up to 1, 2, 4, ... rows; the last: more
};

/// Thrown by submit when the queue is full: HTTP 429.
class QueueFull : public Error {
 public:
  using Error::Error;
};

class Engine {
 public:
  /// The runner must outlive the engine.
  Engine(ModelRunner& runner, EngineOptions options);
  ~Engine();  ///< cancels what is left

  /// Throws Error naming the field if the request is wrong (empty prompt, token id outside the
  /// vocabulary, prompt + max_tokens beyond the context with both numbers), QueueFull if it must
  /// wait too long a line.
  RequestId submit(Request request, std::shared_ptr<Sink> sink);
  void cancel(RequestId id);  ///< its pages are free before the next step; unknown ids are ignored
  void drain();               ///< returns when nothing runs or waits
  EngineStats stats() const;  ///< waits for nobody
  int64_t max_model_len() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moge::infer
