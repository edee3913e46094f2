#include "moge/data/generate.h"

#include <charconv>
#include <cmath>
#include <numeric>

#include "moge/core/error.h"
#include "moge/core/files.h"
#include "moge/core/rng.h"
#include "moge/data/arithmetic.h"
#include "moge/data/python_code.h"
#include "moge/data/stories.h"

namespace moge::data {

namespace {

constexpr std::string_view kDomainNames[kNumDomains] = {"stories", "arithmetic", "code"};

int domain_of(std::string_view name) {
  for (int d = 0; d < kNumDomains; ++d)
    if (kDomainNames[d] == name) return d;
  throw UsageError(fmt::format("--domains: '{}' is no domain (stories, arithmetic, code)", name));
}

double weight_of(std::string_view text, std::string_view entry) {
  double weight = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), weight);
  if (error != std::errc{} || end != text.data() + text.size() || !(weight >= 0) ||
      !std::isfinite(weight))
    throw UsageError(
        fmt::format("--domains: '{}' wants NAME:WEIGHT, a number of at least 0", entry));
  return weight;
}

void append_document(std::string& out, Domain domain, uint64_t seed, Rng& rng) {
  switch (domain) {
    case Domain::kStories:
      return append_story(out, rng);
    case Domain::kArithmetic:
      append_problem(out, seed, rng);
      return;
    case Domain::kCode:
      return append_python_function(out, rng);
  }
}

/// Appends {"text": ..., "domain": ...} and a newline. Our texts are plain ASCII.
void append_json_line(std::string& out, const Document& document) {
  out += "{\"text\": \"";
  for (char c : document.text) {
    if (c == '\n') {
      out += "\\n";
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  out += "\", \"domain\": \"";
  out += name_of(document.domain);
  out += "\"}\n";
}

}  // namespace

std::string_view name_of(Domain domain) { return kDomainNames[static_cast<int>(domain)]; }

DomainWeights parse_domain_weights(std::string_view text) {
  DomainWeights weights{{0, 0, 0}};
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const auto entry = text.substr(0, comma);
    const size_t colon = std::min(entry.find(':'), entry.size());
    const int d = domain_of(entry.substr(0, colon));
    weights.weight[d] = colon == entry.size() ? 1 : weight_of(entry.substr(colon + 1), entry);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  if (!(std::accumulate(weights.weight.begin(), weights.weight.end(), 0.0) > 0))
    throw UsageError("--domains: every domain has weight 0, at least one must have more");
  return weights;
}

CorpusGenerator::CorpusGenerator(uint64_t seed, const DomainWeights& weights)
    : seed_(seed), weights_(weights) {
  double sum = 0;
  for (double w : weights.weight) {
    check(w >= 0, "[corpus] a domain's weight is {}, at least 0 is needed", w);
    sum += w;
  }
  check(sum > 0, "[corpus] every domain has weight 0, at least one must have more");
}

void CorpusGenerator::next(Document& document) {
  int chosen = -1;
  for (int d = 0; d < kNumDomains; ++d) {  // least bytes per weight, compared without dividing
    if (weights_.weight[d] == 0) continue;
    if (chosen < 0 || static_cast<double>(bytes_[d]) * weights_.weight[chosen] <
                          static_cast<double>(bytes_[chosen]) * weights_.weight[d])
      chosen = d;
  }
  document.domain = static_cast<Domain>(chosen);
  document.text.clear();
  Rng rng(seed_, hash_name(name_of(document.domain)) + static_cast<uint64_t>(documents_[chosen]));
  append_document(document.text, document.domain, seed_, rng);
  bytes_[chosen] += static_cast<int64_t>(document.text.size());
  ++documents_[chosen];
}

int64_t generate_corpus(const CorpusOptions& options,
                        const std::function<void(const Document&)>& sink) {
  check(options.bytes > 0, "[corpus] {} bytes asked for, at least 1 is needed", options.bytes);
  CorpusGenerator generator(options.seed, options.weights);
  Document document;
  int64_t bytes = 0;
  while (bytes < options.bytes) {
    generator.next(document);
    bytes += static_cast<int64_t>(document.text.size());
    sink(document);
  }
  return bytes;
}

CorpusSummary write_corpus(const CorpusOptions& options, const std::string& path,
                           const std::function<void(int64_t)>& progress) {
  FileWriter file(path);
  CorpusSummary summary;
  std::string line;
  int64_t bytes = 0;
  generate_corpus(options, [&](const Document& document) {
    line.clear();
    append_json_line(line, document);
    file.write(line);
    const int d = static_cast<int>(document.domain);
    ++summary.documents[d];
    summary.bytes[d] += static_cast<int64_t>(document.text.size());
    bytes += static_cast<int64_t>(document.text.size());
    if (progress) progress(bytes);
  });
  file.commit();
  summary.file_bytes = file.bytes_written();
  return summary;
}

}  // namespace moge::data
