// The share of problems whose greedy answer is right.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "moge/eval/documents.h"
#include "moge/infer/engine.h"
#include "moge/text/tokenizer.h"

namespace moge::eval {

struct SolveResult {
  int64_t problems = 0, solved = 0;
};

/// Answers every problem greedily, many at once; `progress` gets the number answered.
SolveResult solve(infer::Engine& engine, const Tokenizer& tokenizer,
                  std::span<const Problem> problems, int64_t max_tokens,
                  const std::function<void(int64_t)>& progress);

}  // namespace moge::eval
