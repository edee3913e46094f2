// Choosing the next token from a row of logits: greedy or random, filtered, penalised, seeded.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "moge/core/rng.h"

namespace moge::infer {

/// One request's wishes; names as OpenAI, vLLM and llama.cpp users know them.
struct SamplingParams {
  float temperature = 0.0f;         ///< 0 = greedy
  int64_t top_k = 0;                ///< 0 = off
  float top_p = 1.0f;               ///< 1 = off
  float min_p = 0.0f;               ///< 0 = off
  float typical_p = 1.0f;           ///< locally typical sampling, before top_p; 1 = off
  float repetition_penalty = 1.0f;  ///< over prompt and output; 1 = off
  float presence_penalty = 0.0f;    ///< over output
  float frequency_penalty = 0.0f;   ///< over output
  std::vector<std::pair<int32_t, float>> logit_bias;
  uint64_t seed = 0;  ///< draw i of a request is a pure function of (seed, i)
  int64_t max_tokens = 128;
  int64_t min_tokens = 0;  ///< end tokens are not chosen before
  bool ignore_eos = false;
  int num_logprobs = -1;  ///< alternatives reported with each token; -1 = none
  std::vector<int32_t> stop_ids;
  std::vector<std::string> stop;  ///< strings; checked on the text, see text_stream.h

  /// Throws Error naming the field whose value is out of range.
  void validate(int64_t vocab_size) const;
};

struct TokenLogprob {
  int32_t id = -1;
  float logprob = 0;
};

/// The chosen token with its log-probability under the model (before any filter or penalty).
struct Sample {
  int32_t id = -1;
  float logprob = 0;
  int64_t rank = 0;               ///< 1: no other was likelier; of score() only
  std::vector<TokenLogprob> top;  ///< most likely first, `num_logprobs` of them
};

/// Holds the scratch of one vocabulary, so that a step allocates nothing.
class Sampler {
 public:
  explicit Sampler(int64_t vocab_size);

  /// logits_V is overwritten. `history` is the prompt followed by the output so far,
  /// `prompt_tokens` its first part; `banned` ids are not chosen (end tokens before min_tokens),
  /// nor are those whose bit in `allowed` (see TokenConstraint; empty: all) is 0. `banned` yields
  /// where nothing else is allowed. Throws Error if `allowed` has no token.
  void sample(std::span<float> logits_V, const SamplingParams& params,
              std::span<const int32_t> history, int64_t prompt_tokens,
              std::span<const int32_t> banned, std::span<const uint32_t> allowed, Sample& result);

  /// The log-probability of a token that is given, with `num_logprobs` alternatives.
  void score(std::span<const float> logits_V, int32_t id, int num_logprobs, Sample& result);

 private:
  float find_peaks(std::span<const float> logits_V);
  int32_t likeliest(std::span<const float> logits_V);
  void penalise(std::span<float> logits_V, const SamplingParams& params,
                std::span<const int32_t> history, int64_t prompt_tokens);
  int32_t draw(std::span<const float> logits_V, const SamplingParams& params, double uniform);
  void keep_candidates(std::span<const float> logits_V, const SamplingParams& params);
  double weigh_candidates();
  void cut_by_typicality(double typical_p);
  void cut_by_mass(double wanted);
  void cut_by_probability(const SamplingParams& params);

  std::vector<int32_t> counts_V_;  // of each token in the output; zero between calls
  std::vector<float> raw_V_;       // the model's logits of the row at hand
  std::vector<float> peaks_;       // the largest of each block of them, once filtered
  std::vector<std::pair<float, int32_t>> candidates_;  // (scaled logit, then probability; id)
};

/// log-sum-exp in fp64, in index order.
double log_sum_exp(std::span<const float> logits_V);

}  // namespace moge::infer
