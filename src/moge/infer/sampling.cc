#include "moge/infer/sampling.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "moge/core/error.h"

namespace moge::infer {

namespace {

/// More likely first; equal logits in id order, so that the order is total.
bool likelier(const std::pair<float, int32_t>& a, const std::pair<float, int32_t>& b) {
  return a.first != b.first ? a.first > b.first : a.second < b.second;
}

void report(std::span<const float> logits_V, int num_logprobs,
            std::vector<std::pair<float, int32_t>>& scratch, double lse, Sample& result) {
  result.top.clear();
  if (num_logprobs <= 0) return;
  scratch.clear();
  for (size_t id = 0; id < logits_V.size(); ++id)
    scratch.emplace_back(logits_V[id], static_cast<int32_t>(id));
  const size_t count = std::min<size_t>(static_cast<size_t>(num_logprobs), scratch.size());
  std::partial_sort(scratch.begin(), scratch.begin() + static_cast<ptrdiff_t>(count), scratch.end(),
                    likelier);
  for (size_t i = 0; i < count; ++i)
    result.top.push_back({scratch[i].second, static_cast<float>(scratch[i].first - lse)});
}

constexpr float kNever = -std::numeric_limits<float>::infinity();

/// exp(-30) of the likeliest weight: all tokens below it are together less than a weight's last
/// bit, and most of a large vocabulary is.
constexpr float kNegligible = 30;

constexpr size_t kBlock = 64;
typedef float Lanes __attribute__((vector_size(64)));

/// The largest; what is not a number never is.
float peak_of(std::span<const float> block) {
  constexpr size_t kLanes = sizeof(Lanes) / sizeof(float);
  float peak = kNever;
  size_t i = 0;
  if (block.size() >= kLanes) {
    Lanes peaks = kNever - Lanes{};
    for (; i + kLanes <= block.size(); i += kLanes) {
      Lanes next;
      std::memcpy(&next, &block[i], sizeof(next));
      peaks = peaks < next ? next : peaks;
    }
    float each[kLanes];
    std::memcpy(each, &peaks, sizeof(each));
    peak = *std::max_element(each, each + kLanes);
  }
  for (; i < block.size(); ++i) peak = std::max(peak, block[i]);
  return peak;
}

/// Of the first 32 at most; returns how many are left.
int64_t rule_out_word(std::span<float> logits, uint32_t allowed) {
  const size_t count = std::min<size_t>(32, logits.size());
  const uint32_t all = ~0u >> (32 - count);
  allowed &= all;
  if (allowed == 0) {
    std::fill_n(logits.begin(), count, kNever);
  } else if (allowed != all) {
    for (size_t i = 0; i < count; ++i)
      if ((allowed >> i & 1) == 0) logits[i] = kNever;
  }
  return std::popcount(allowed);
}

/// Rules tokens out; `banned` yields where it would leave nothing.
void rule_out(std::span<float> logits_V, std::span<const int32_t> banned,
              std::span<const uint32_t> allowed) {
  const auto allows = [&](size_t id) { return (allowed[id / 32] >> (id % 32) & 1) != 0; };
  if (allowed.empty()) {
    for (int32_t id : banned) logits_V[static_cast<size_t>(id)] = kNever;
    return;
  }
  int64_t left = 0;
  for (size_t word = 0; word * 32 < logits_V.size(); ++word)
    left += rule_out_word(logits_V.subspan(word * 32), allowed[word]);
  check(left > 0, "the output's grammar allows no token of the vocabulary here");
  for (size_t i = 0; i < banned.size(); ++i) {
    const bool seen = std::find(banned.begin(), banned.begin() + static_cast<ptrdiff_t>(i),
                                banned[i]) != banned.begin() + static_cast<ptrdiff_t>(i);
    left -= !seen && allows(static_cast<size_t>(banned[i]));
  }
  if (left == 0) return;
  for (int32_t id : banned) logits_V[static_cast<size_t>(id)] = kNever;
}

}  // namespace

void SamplingParams::validate(int64_t vocab_size) const {
  check(temperature >= 0 && temperature <= 100, "temperature is {}, must be in [0, 100]",
        temperature);
  check(top_k >= 0, "top_k is {}, must be 0 (off) or more", top_k);
  check(top_p > 0 && top_p <= 1, "top_p is {}, must be in (0, 1]", top_p);
  check(min_p >= 0 && min_p <= 1, "min_p is {}, must be in [0, 1]", min_p);
  check(typical_p > 0 && typical_p <= 1, "typical_p is {}, must be in (0, 1]", typical_p);
  check(repetition_penalty > 0 && repetition_penalty <= 100,
        "repetition_penalty is {}, must be in (0, 100]", repetition_penalty);
  check(std::abs(presence_penalty) <= 2, "presence_penalty is {}, must be in [-2, 2]",
        presence_penalty);
  check(std::abs(frequency_penalty) <= 2, "frequency_penalty is {}, must be in [-2, 2]",
        frequency_penalty);
  check(max_tokens >= 0, "max_tokens is {}, must be 0 or more", max_tokens);
  check(min_tokens >= 0 && min_tokens <= max_tokens,
        "min_tokens is {}, must be between 0 and max_tokens = {}", min_tokens, max_tokens);
  check(num_logprobs <= vocab_size, "logprobs is {}, the vocabulary has {} tokens", num_logprobs,
        vocab_size);
  for (const auto& [id, bias] : logit_bias) {
    check(id >= 0 && id < vocab_size, "logit_bias names token {}, the vocabulary has {}", id,
          vocab_size);
    check(std::abs(bias) <= 100, "logit_bias of token {} is {}, must be in [-100, 100]", id, bias);
  }
  for (int32_t id : stop_ids)
    check(id >= 0 && id < vocab_size, "stop_token_ids names token {}, the vocabulary has {}", id,
          vocab_size);
}

double log_sum_exp(std::span<const float> logits_V) {
  float peak = -std::numeric_limits<float>::infinity();
  for (float x : logits_V) peak = std::max(peak, x);
  double sum = 0;
  for (float x : logits_V) sum += std::exp(static_cast<double>(x - peak));
  return peak + std::log(sum);
}

Sampler::Sampler(int64_t vocab_size) : counts_V_(static_cast<size_t>(vocab_size), 0) {
  candidates_.reserve(static_cast<size_t>(vocab_size));
  raw_V_.reserve(static_cast<size_t>(vocab_size));
  peaks_.reserve(static_cast<size_t>(vocab_size) / kBlock + 1);
}

void Sampler::penalise(std::span<float> logits_V, const SamplingParams& params,
                       std::span<const int32_t> history, int64_t prompt_tokens) {
  for (const auto& [id, bias] : params.logit_bias) logits_V[static_cast<size_t>(id)] += bias;
  if (params.repetition_penalty == 1 && params.presence_penalty == 0 &&
      params.frequency_penalty == 0)
    return;
  constexpr int32_t kSeen = 1 << 30;  // marks a token whose repetition penalty has been applied
  for (size_t i = 0; i < history.size(); ++i) {
    const auto id = static_cast<size_t>(history[i]);
    if (!(counts_V_[id] & kSeen)) {
      counts_V_[id] |= kSeen;
      logits_V[id] = logits_V[id] > 0 ? logits_V[id] / params.repetition_penalty
                                      : logits_V[id] * params.repetition_penalty;
    }
    if (static_cast<int64_t>(i) >= prompt_tokens) ++counts_V_[id];
  }
  for (int32_t token : history) {
    const auto id = static_cast<size_t>(token);
    const int32_t count = counts_V_[id] & ~kSeen;
    if (count > 0)
      logits_V[id] -=
          params.presence_penalty + params.frequency_penalty * static_cast<float>(count);
    counts_V_[id] = 0;
  }
}

/// Sets peaks_ and returns the largest.
float Sampler::find_peaks(std::span<const float> logits_V) {
  peaks_.clear();
  for (size_t first = 0; first < logits_V.size(); first += kBlock)
    peaks_.push_back(peak_of(logits_V.subspan(first, std::min(kBlock, logits_V.size() - first))));
  const float peak = *std::max_element(peaks_.begin(), peaks_.end());
  check(peak > kNever, "the model's logits are not numbers");
  return peak;
}

/// The first of the largest.
int32_t Sampler::likeliest(std::span<const float> logits_V) {
  const float peak = find_peaks(logits_V);
  const auto block = std::find(peaks_.begin(), peaks_.end(), peak) - peaks_.begin();
  const auto first = logits_V.begin() + block * static_cast<ptrdiff_t>(kBlock);
  return static_cast<int32_t>(std::find(first, logits_V.end(), peak) - logits_V.begin());
}

/// The tokens that may be drawn with their scaled logits: in id order, or likelier first with
/// top_k.
void Sampler::keep_candidates(std::span<const float> logits_V, const SamplingParams& params) {
  const float inverse = 1.0f / params.temperature;
  const float least = find_peaks(logits_V) - kNegligible * params.temperature;
  candidates_.clear();
  for (size_t block = 0; block < peaks_.size(); ++block) {
    if (peaks_[block] < least) continue;
    const size_t end = std::min(logits_V.size(), (block + 1) * kBlock);
    for (size_t id = block * kBlock; id < end; ++id)
      if (logits_V[id] >= least)
        candidates_.emplace_back(logits_V[id] * inverse, static_cast<int32_t>(id));
  }
  if (params.top_k == 0 || params.top_k >= static_cast<int64_t>(candidates_.size())) return;
  std::nth_element(candidates_.begin(), candidates_.begin() + params.top_k - 1, candidates_.end(),
                   likelier);
  candidates_.resize(static_cast<size_t>(params.top_k));
  std::sort(candidates_.begin(), candidates_.end(), likelier);
}

/// Turns the scaled logits into weights relative to the likeliest and returns their sum.
double Sampler::weigh_candidates() {
  const float peak = std::max_element(candidates_.begin(), candidates_.end())->first;
  double total = 0;
  for (auto& [weight, id] : candidates_) {
    weight = std::exp(weight - peak);
    total += weight;
  }
  return total;
}

/// Keeps the tokens whose surprise is nearest to the entropy, up to the mass `typical_p`.
void Sampler::cut_by_typicality(double typical_p) {
  double total = 0, weighted_logs = 0;
  for (const auto& [weight, id] : candidates_) {
    total += weight;
    if (weight > 0) weighted_logs += weight * std::log(static_cast<double>(weight));
  }
  // Surprise minus entropy: the logarithm of the sum stands in both and cancels.
  const double mean_log = weighted_logs / total;
  const auto distance = [mean_log](float weight) {
    return std::abs(std::log(static_cast<double>(weight)) - mean_log);
  };
  std::sort(candidates_.begin(), candidates_.end(), [&](const auto& a, const auto& b) {
    const double of_a = distance(a.first), of_b = distance(b.first);
    return of_a != of_b ? of_a < of_b : a.second < b.second;
  });
  size_t keep = 0;
  for (double mass = 0; keep < candidates_.size() && mass < typical_p * total; ++keep)
    mass += candidates_[keep].first;
  candidates_.resize(std::max<size_t>(keep, 1));
  std::sort(candidates_.begin(), candidates_.end(), likelier);
}

/// Keeps the likeliest tokens up to the mass `wanted`. A full sort of a large vocabulary costs more
/// than the rest of sampling, so the order is made as far as it is needed.
void Sampler::cut_by_mass(double wanted) {
  const auto begin = candidates_.begin();
  const size_t count = candidates_.size();
  double mass = 0;
  for (size_t keep = 0, sorted = 0, block = 128; keep < count; block *= 4) {
    const size_t end = std::min(count, sorted + block);
    const auto from = begin + static_cast<ptrdiff_t>(sorted);
    const auto to = begin + static_cast<ptrdiff_t>(end);
    if (end < count) std::nth_element(from, to - 1, candidates_.end(), likelier);
    std::sort(from, to, likelier);
    for (sorted = end; keep < end; ++keep) {
      if (keep > 0 && mass >= wanted) {
        candidates_.resize(keep);
        return;
      }
      mass += candidates_[keep].first;
    }
  }
}

void Sampler::cut_by_probability(const SamplingParams& params) {
  double total = weigh_candidates();
  if (params.typical_p < 1) {
    cut_by_typicality(params.typical_p);
    total = 0;
    for (const auto& [weight, id] : candidates_) total += weight;
  }
  if (params.min_p > 0) {
    const float peak = std::max_element(candidates_.begin(), candidates_.end())->first;
    std::erase_if(candidates_, [&](const auto& c) { return c.first < params.min_p * peak; });
  }
  if (params.top_p < 1) cut_by_mass(params.top_p * total);
}

int32_t Sampler::draw(std::span<const float> logits_V, const SamplingParams& params,
                      double uniform) {
  keep_candidates(logits_V, params);
  cut_by_probability(params);
  double total = 0;
  for (const auto& [weight, id] : candidates_) total += weight;
  double left = uniform * total;
  for (const auto& [weight, id] : candidates_)
    if ((left -= weight) < 0) return id;
  return candidates_.back().second;
}

void Sampler::score(std::span<const float> logits_V, int32_t id, int num_logprobs, Sample& result) {
  const double lse = log_sum_exp(logits_V);
  report(logits_V, num_logprobs, candidates_, lse, result);
  result.id = id;
  const float logit = logits_V[static_cast<size_t>(id)];
  result.logprob = static_cast<float>(logit - lse);
  result.rank = 1 + std::count_if(logits_V.begin(), logits_V.end(),
                                  [logit](float other) { return other > logit; });
}

void Sampler::sample(std::span<float> logits_V, const SamplingParams& params,
                     std::span<const int32_t> history, int64_t prompt_tokens,
                     std::span<const int32_t> banned, std::span<const uint32_t> allowed,
                     Sample& result) {
  // Reported log-probabilities are the model's own, so they are taken before penalties and filters.
  const bool reports = params.num_logprobs >= 0;
  const double lse = reports ? log_sum_exp(logits_V) : 0.0;
  report(logits_V, params.num_logprobs, candidates_, lse, result);
  if (reports) raw_V_.assign(logits_V.begin(), logits_V.end());
  penalise(logits_V, params, history, prompt_tokens);
  const std::span<float> row = logits_V;
  rule_out(row, banned, allowed);
  if (params.temperature == 0) {
    result.id = likeliest(row);
  } else {
    const auto index = static_cast<uint64_t>(static_cast<int64_t>(history.size()) - prompt_tokens);
    result.id = draw(row, params, Rng(params.seed, "sample").uniform_at(index));
  }
  result.logprob =
      reports ? static_cast<float>(raw_V_[static_cast<size_t>(result.id)] - lse) : 0.0f;
}

}  // namespace moge::infer
