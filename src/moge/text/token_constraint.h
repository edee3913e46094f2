// What structured output asks of the sampler: which tokens may come next. Grammars implement it,
// the engine calls it; this header belongs to neither.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace moge {

/// The state of one answer, used by one thread at a time.
///
/// The engine asks allow() before it chooses an answer's next token and tells the choice by
/// advance(), once per token of the output and in order. It never takes a token back: speculation
/// tells only tokens that stay, and a preempted answer keeps its output and with it this state.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;

  /// Number of words of a bit mask over `vocab_size` tokens.
  static constexpr size_t mask_words(int64_t vocab_size) {
    return static_cast<size_t>((vocab_size + 31) / 32);
  }

  /// Writes the whole mask: bit id % 32 of word id / 32 says whether token `id` may come next. The
  /// model's end tokens are set where the text may end, and only there. Not called once finished.
  virtual void allow(std::span<uint32_t> bitmask) = 0;

  /// `token` was chosen: one of those that the last allow() let through. End tokens come too.
  virtual void advance(int32_t token) = 0;

  /// True when the text is complete and nothing can follow: the engine ends the answer ("stop")
  /// without asking the model for an end token.
  virtual bool finished() const = 0;

  /// An independent copy in the same state, for the n answers of one request.
  virtual std::shared_ptr<TokenConstraint> clone() const = 0;
};

}  // namespace moge
