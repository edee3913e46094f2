// Mean loss of a model over documents, in batches of whole documents.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

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
};

/// Every token but a document's first is predicted; a document longer than `context` is cut into
/// pieces of that length. `progress` is called with the number of documents done; returning false
/// ends early.
PerplexityResult perplexity(ThreadPool& threads, const kernels::Table& table, const Model& model,
                            const Tokenizer& tokenizer, std::span<const EvalDocument> documents,
                            int64_t context, const std::function<bool(int64_t)>& progress);

}  // namespace moge::eval
