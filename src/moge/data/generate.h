// The demo corpus: stories, arithmetic and code, written from a seed. The same seed gives the same
// bytes on every machine.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace moge::data {

enum class Domain { kStories, kArithmetic, kCode };
inline constexpr int kNumDomains = 3;
std::string_view name_of(Domain domain);

/// Shares of the corpus' bytes; half of them are arithmetic unless told otherwise.
struct DomainWeights {
  std::array<double, kNumDomains> weight{1, 2, 1};  ///< by Domain
};

/// "stories:2,arithmetic:1,code:1"; a domain that is not named gets nothing.
DomainWeights parse_domain_weights(std::string_view text);

struct Document {
  std::string text;
  Domain domain = Domain::kStories;
};

/// Writes one document after the other, always in the domain that lacks most of its share of the
/// bytes. Document i of a domain is a function of (seed, domain, i).
class CorpusGenerator {
 public:
  explicit CorpusGenerator(uint64_t seed, const DomainWeights& weights = {});
  /// Overwrites `document` with the next one.
  void next(Document& document);

 private:
  uint64_t seed_;
  DomainWeights weights_;
  std::array<int64_t, kNumDomains> bytes_{}, documents_{};
};

struct CorpusOptions {
  int64_t bytes = 0;  ///< of text; the last document may pass it
  uint64_t seed = 1;
  DomainWeights weights;
};

/// Calls `sink` with every document; returns the bytes of text.
int64_t generate_corpus(const CorpusOptions& options,
                        const std::function<void(const Document&)>& sink);

struct CorpusSummary {
  std::array<int64_t, kNumDomains> documents{}, bytes{};  ///< of text, by Domain
  int64_t file_bytes = 0;
};

/// Writes the corpus as JSON lines {"text", "domain"}; the file appears complete or not at all.
/// `progress`, if any, is called with the bytes of text after each document.
CorpusSummary write_corpus(const CorpusOptions& options, const std::string& path,
                           const std::function<void(int64_t)>& progress = {});

}  // namespace moge::data
