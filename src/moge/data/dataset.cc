#include "moge/data/dataset.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>
#include <utility>

#include "moge/core/error.h"
#include "moge/data/prepare.h"
#include "moge/data/text_input.h"
#include "moge/text/tokenizer.h"

namespace moge::data {

namespace {

constexpr int64_t kPeriod = 4096;  // samples after which the mix of sources repeats

std::optional<double> to_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string without_extension(const std::string& path) {
  const bool is_file = path.ends_with(".bin") || path.ends_with(".idx");
  return is_file ? path.substr(0, path.size() - 4) : path;
}

}  // namespace

// ---- BatchSource.

BatchSource::BatchSource(std::vector<Source> sources) : sources_(std::move(sources)) {
  check(!sources_.empty(), "[data] no source of samples");
  fill_turns();
}

/// At each turn the source that lags most behind its share comes next, so that any stretch of
/// samples is mixed as asked for.
void BatchSource::fill_turns() {
  double sum = 0;
  for (const Source& source : sources_) sum += source.weight;
  counts_.assign(sources_.size(), 0);
  const int64_t period = sources_.size() == 1 ? 1 : kPeriod;
  for (int64_t turn = 0; turn < period; ++turn) {
    size_t chosen = 0;
    double most = -1;
    for (size_t s = 0; s < sources_.size(); ++s) {
      const double lag = sources_[s].weight / sum * static_cast<double>(turn + 1) -
                         static_cast<double>(counts_[s]);
      if (lag > most) chosen = s, most = lag;
    }
    turns_.push_back({static_cast<int32_t>(chosen), static_cast<int32_t>(counts_[chosen]++)});
  }
  for (size_t s = 0; s < sources_.size(); ++s)
    check(counts_[s] > 0, "[data] source {} has a share of {:.3g}, too little for 1 sample in {}",
          s + 1, sources_[s].weight / sum, period);
}

void BatchSource::get(int64_t sample, const SampleView& out, std::vector<int32_t>& lengths_S) {
  check(sample >= 0, "[data] sample number {}", sample);
  const auto period = static_cast<int64_t>(turns_.size());
  const Turn turn = turns_[static_cast<size_t>(sample % period)];
  const auto source = static_cast<size_t>(turn.source);
  sources_[source].samples.get(sample / period * counts_[source] + turn.rank, out, lengths_S);
}

int64_t BatchSource::num_tokens() const {
  int64_t tokens = 0;
  for (const Source& source : sources_) tokens += source.samples.num_tokens();
  return tokens;
}

int64_t BatchSource::samples_per_epoch() const {
  int64_t samples = 0;
  for (const Source& source : sources_) samples += source.samples.samples_per_epoch();
  return samples;
}

// ---- Options.

std::array<double, 3> parse_split(const std::string& text) {
  std::array<double, 3> shares{};
  std::string_view rest = text;
  double sum = 0;
  size_t count = 0;
  for (bool more = true; more; ++count) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const auto value = to_number(rest.substr(0, comma));
    if (count == 3 || !value || !(*value >= 0) || !std::isfinite(*value))
      throw UsageError(
          fmt::format("--split: '{}' is no list of one to three shares such as 949,50,1", text));
    shares[count] = *value;
    sum += *value;
    more = comma < rest.size();
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  if (!(sum > 0)) throw UsageError(fmt::format("--split: the shares '{}' are all 0", text));
  for (double& share : shares) share /= sum;
  return shares;
}

std::vector<BlendEntry> parse_blend(const std::string& option,
                                    const std::vector<std::string>& arguments) {
  std::vector<BlendEntry> entries;
  const bool weighted = arguments.size() > 1 && to_number(arguments[0]).has_value();
  if (weighted && arguments.size() % 2 != 0)
    throw UsageError(
        fmt::format("{}: '{}' lacks its weight or its path", option, arguments.back()));
  for (size_t i = 0; i < arguments.size(); i += weighted ? 2 : 1) {
    if (!weighted) {
      entries.push_back({arguments[i], 0});
      continue;
    }
    const auto weight = to_number(arguments[i]);
    if (!weight || !(*weight > 0) || !std::isfinite(*weight))
      throw UsageError(fmt::format("{}: weight '{}' of {} is no number above 0", option,
                                   arguments[i], arguments[i + 1]));
    entries.push_back({arguments[i + 1], *weight});
  }
  return entries;
}

// ---- Opening.

namespace {

/// An opened path with its place among the sources.
struct Opened {
  std::shared_ptr<const Documents> documents;
  double weight;
  uint64_t stream;
};

class Opener {
 public:
  Opener(const DataOptions& options, const Tokenizer* tokenizer, ThreadPool* pool)
      : options_(options), tokenizer_(tokenizer), pool_(pool) {
    PackingOptions& packing = options_.packing;
    if (packing.eod_id < 0 && tokenizer) packing.eod_id = tokenizer->eos_id().value_or(-1);
  }

  DataParts open() {
    DataParts parts;
    if (!options_.train_data_path.empty()) {
      check_only_one();
      parts.train = whole(open_all("--train-data-path", options_.train_data_path), "train");
      if (!options_.valid_data_path.empty())
        parts.valid = whole(open_all("--valid-data-path", options_.valid_data_path), "valid");
      return parts;
    }
    if (options_.data_path.empty())
      throw UsageError("--data-path: no data was named (or --train-data-path)");
    const auto sources = open_all("--data-path", options_.data_path);
    const auto shares = parse_split(options_.split);
    parts.train = part(sources, 0, shares[0], "train", /*required=*/true);
    parts.valid = part(sources, shares[0], shares[0] + shares[1], "valid", false);
    parts.test = part(sources, shares[0] + shares[1], 1, "test", false);
    return parts;
  }

 private:
  void check_only_one() const {
    if (!options_.data_path.empty())
      throw UsageError("--data-path and --train-data-path cannot both be given");
  }

  std::shared_ptr<const Documents> open_one(const std::string& path) const {
    if (!is_text_path(path))
      return std::make_shared<IndexedDocuments>(IndexedDataset(without_extension(path)));
    check(tokenizer_ != nullptr, "{}: text can only be read with a tokenizer", path);
    return load_text(path, *tokenizer_,
                     {.append_eod = options_.append_eod, .pool = pool_, .progress = {}});
  }

  std::vector<Opened> open_all(const std::string& option,
                               const std::vector<std::string>& arguments) const {
    std::vector<Opened> sources;
    for (const BlendEntry& entry : parse_blend(option, arguments))
      sources.push_back({open_one(entry.path), entry.weight, sources.size()});
    return sources;
  }

  std::unique_ptr<BatchSource> whole(const std::vector<Opened>& sources, const char* name) const {
    return part(sources, 0, 1, name, /*required=*/true);
  }

  /// Tokens from share `begin` to share `end` of each source. A part that is not required leaves
  /// out sources that have too few tokens in it.
  std::unique_ptr<BatchSource> part(const std::vector<Opened>& opened, double begin, double end,
                                    const char* name, bool required) const {
    std::vector<BatchSource::Source> sources;
    for (const Opened& source : opened) {
      const DocumentRange all(source.documents);
      const auto border = [&](double share) {
        return std::llround(share * static_cast<double>(all.num_tokens()));
      };
      DocumentRange range(source.documents, border(begin), border(end));
      if (!required && range.num_tokens() <= options_.packing.seq_length) continue;
      const double weight =
          source.weight > 0 ? source.weight : static_cast<double>(all.num_tokens());
      sources.push_back(
          {PackedSamples(std::move(range), options_.packing, source.stream, name), weight});
    }
    return sources.empty() ? nullptr : std::make_unique<BatchSource>(std::move(sources));
  }

  DataOptions options_;
  const Tokenizer* tokenizer_;
  ThreadPool* pool_;
};

}  // namespace

DataParts open_data(const DataOptions& options, const Tokenizer* tokenizer, ThreadPool* pool) {
  return Opener(options, tokenizer, pool).open();
}

}  // namespace moge::data
