// How far one model's distributions over the next token are from another's.
#pragma once

#include <cstdint>

namespace moge::eval {

struct Divergence {
  double kl = 0;  ///< sum over tokens of KL(reference || model), in nats
  int64_t same_top = 0, tokens = 0;

  double kl_mean() const { return tokens > 0 ? kl / static_cast<double>(tokens) : 0.0; }
  double same_top_share() const {
    return tokens > 0 ? static_cast<double>(same_top) / static_cast<double>(tokens) : 0.0;
  }
  void add(const Divergence& other) {
    kl += other.kl;
    same_top += other.same_top;
    tokens += other.tokens;
  }
};

/// One row of logits each, of the same vocabulary.
Divergence divergence(const float* reference_V, const float* model_V, int64_t vocab_size);

}  // namespace moge::eval
