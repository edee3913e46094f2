#include "moge/grammar/grammar_cache.h"

#include <algorithm>

namespace moge::grammar {

namespace {
constexpr double kPrepareMs = 100;  // masks found before the first token needs them
}

std::shared_ptr<const CompiledGrammar> GrammarCache::find(const OutputFormat& format) {
  std::lock_guard lock(mutex_);
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& e) { return e.format == format; });
  if (found == entries_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found);
  return found->grammar;
}

/// Two threads may compile the same format at once; both results are good.
std::shared_ptr<const CompiledGrammar> GrammarCache::get(const OutputFormat& format) {
  if (auto known = find(format)) return known;
  Budget budget;
  const Grammar grammar = to_grammar(format, budget);
  auto compiled = std::make_shared<const CompiledGrammar>(grammar, vocabulary_, budget);
  compiled->prepare(kPrepareMs);
  std::lock_guard lock(mutex_);
  entries_.push_front({format, compiled});
  if (entries_.size() > capacity_) entries_.pop_back();
  return compiled;
}

}  // namespace moge::grammar
