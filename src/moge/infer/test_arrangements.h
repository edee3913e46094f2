// Random requests, and random arrangements to run them in: whatever a request meets on its way
// (neighbours, chunks, preemption, cached prefixes, guesses, threads), its answer has the same
// bits.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "moge/infer/engine.h"
#include "moge/infer/model_runner.h"
#include "moge/model/load.h"

namespace moge::infer {

/// All that a client could compare.
struct Answer {
  std::vector<int32_t> ids;
  std::vector<float>
      logprobs;  // of the prompt's tokens if asked for, of the output, of alternatives
  std::vector<int32_t> experts;
  FinishReason reason = FinishReason::kError;
  std::string error;

  bool operator==(const Answer&) const = default;
};

struct Arrangement {
  int threads = 2;
  int64_t max_num_seqs = 8, max_num_batched_tokens = 64, page_tokens = 16, num_pages = 64;
  bool prefix_caching = true;
  int64_t num_speculative_tokens = 0;
  std::vector<size_t> order;    // of submission
  size_t in_flight = SIZE_MAX;  // submitted beyond the number that has ended
  std::string text() const;
};

/// Requests of every kind whose prompts share beginnings; the context of each is at most `context`.
std::vector<Request> random_requests(size_t count, uint64_t seed, int64_t vocab_size,
                                     int64_t context);
Arrangement random_arrangement(size_t num_requests, uint64_t seed, int64_t context);
/// One request at a time, whole prompts, no cache.
Arrangement alone(size_t num_requests, int64_t context);

struct ArrangedRun {
  std::vector<Answer> answers;
  EngineStats stats;
};
ArrangedRun run_arranged(const LoadedModel& loaded, const std::vector<Request>& requests,
                         const Arrangement& arrangement, int64_t context);

}  // namespace moge::infer
