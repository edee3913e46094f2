// Speculation without a draft model: what followed the last tokens when they stood earlier.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace moge::infer {

/// vLLM's names. Off with num_speculative_tokens = 0.
struct SpeculationOptions {
  int64_t num_speculative_tokens = 0;  ///< guesses in one step, at most
  int64_t prompt_lookup_max = 4;       ///< longest run of last tokens that is looked for
  int64_t prompt_lookup_min = 2;       ///< shortest

  /// From vLLM's --speculative-config: {"method":"ngram","num_speculative_tokens":4,...}. Throws
  /// Error naming what is wrong.
  static SpeculationOptions parse(std::string_view json);
  void validate() const;
};

/// Appends up to `most` guesses of what follows `tokens`, looking for its longest ending that
/// occurred before (the latest place wins). Allocates nothing within tokens.capacity().
void look_up_drafts(std::vector<int32_t>& tokens, const SpeculationOptions& options, int64_t most);

}  // namespace moge::infer
