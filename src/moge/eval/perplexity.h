// Mean loss of a model over documents, in batches of whole documents, and how far its predictions
// are from a reference model's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "moge/eval/divergence.h"
#include "moge/eval/documents.h"
#include "moge/model/model.h"
#include "moge/text/tokenizer.h"

namespace moge::eval {

struct LossSum {
  double loss = 0;
  int64_t tokens = 0;
  double perplexity() const;
};

struct PerplexityResult {
  LossSum total;
  std::map<std::string, LossSum> by_domain;
  Divergence against;  ///< of all tokens, where there is a reference
};

/// Every token but a document's first is predicted; a document longer than `context` is cut into
/// pieces of that length. `progress` is called with the number of documents done; returning false
/// ends early. `reference` (may be null) has the same vocabulary.
PerplexityResult perplexity(ThreadPool& threads, const kernels::Table& table, const Model& model,
                            const Model* reference, const Tokenizer& tokenizer,
                            std::span<const EvalDocument> documents, int64_t context,
                            const std::function<bool(int64_t)>& progress);

}  // namespace moge::eval
