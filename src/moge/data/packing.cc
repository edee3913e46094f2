#include "moge/data/packing.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "moge/core/error.h"
#include "moge/core/rng.h"
#include "moge/data/permutation.h"

namespace moge::data {

namespace {

int64_t count_tokens(const Documents& documents) {
  int64_t tokens = 0;
  for (int64_t d = 0; d < documents.size(); ++d) tokens += documents.length(d);
  return tokens;
}

/// A stream of draws of its own for each use, source and epoch.
uint64_t stream_of(std::string_view use, uint64_t source, int64_t epoch) {
  return hash_name(use) + source * 0x9E3779B97F4A7C15u + static_cast<uint64_t>(epoch);
}

}  // namespace

// ---- DocumentRange.

DocumentRange::DocumentRange(std::shared_ptr<const Documents> documents, int64_t begin, int64_t end)
    : documents_(std::move(documents)), begin_(begin), end_(end) {
  check(0 <= begin && begin <= end, "{}: tokens {} to {} are no range", name(), begin, end);
  int64_t at = 0, d = 0;
  while (d < documents_->size() && at + documents_->length(d) <= begin)
    at += documents_->length(d++);
  first_ = d;
  first_begin_ = begin - at;
  for (; d < documents_->size() && at < end; ++d) {
    last_end_ = std::min(documents_->length(d), end - at);
    at += documents_->length(d);
  }
  last_ = std::max(d, first_);
  check(at >= end, "{}: tokens {} to {} of {}", name(), begin, end, at);
}

DocumentRange::DocumentRange(std::shared_ptr<const Documents> documents)
    : DocumentRange(documents, 0, count_tokens(*documents)) {}

int64_t DocumentRange::length(int64_t document) const {
  const int64_t d = first_ + document;
  const int64_t end = d == last_ - 1 ? last_end_ : documents_->length(d);
  return end - (document == 0 ? first_begin_ : 0);
}

void DocumentRange::read(int64_t document, int64_t offset, std::span<int32_t> out) const {
  documents_->read(first_ + document, offset + (document == 0 ? first_begin_ : 0), out);
}

// ---- PackedSamples.

PackedSamples::PackedSamples(DocumentRange range, const PackingOptions& options, uint64_t stream,
                             const std::string& part)
    : range_(std::move(range)), options_(options), stream_(stream) {
  const int64_t T = options.seq_length, tokens = range_.num_tokens();
  check(T >= 1, "[data] sequence length {}, at least 1 is needed", T);
  check(tokens > 0, "{}: the {} part is empty", range_.name(), part);
  check(tokens > T, "{}: the {} part has {} tokens, one sample of sequence length {} needs {}",
        range_.name(), part, tokens, T, T + 1);
  samples_per_epoch_ = (tokens - 1) / T;
}

const PackedSamples::Epoch& PackedSamples::epoch(int64_t number) {
  Epoch& epoch = epochs_[static_cast<size_t>(number % 2)];
  if (epoch.number == number) return epoch;
  const int64_t n = range_.size();
  epoch.order.resize(static_cast<size_t>(n));
  epoch.begin.resize(static_cast<size_t>(n));
  const Permutation shuffle(n, options_.seed, stream_of("documents", stream_, number));
  int64_t at = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t document = shuffle(i);
    epoch.order[static_cast<size_t>(i)] = document;
    epoch.begin[static_cast<size_t>(i)] = at;
    at += range_.length(document);
  }
  epoch.number = number;
  return epoch;
}

void PackedSamples::get(int64_t sample, const SampleView& out, std::vector<int32_t>& lengths_S) {
  const auto T = static_cast<size_t>(options_.seq_length);
  check(sample >= 0, "[data] sample number {}", sample);
  check(out.tokens_T.size() == T && out.targets_T.size() == T &&
            (out.positions_T.empty() || out.positions_T.size() == T) &&
            (out.loss_mask_T.empty() || out.loss_mask_T.size() == T),
        "[data] a sample's rows have {}, {}, {} and {} elements, want {}", out.tokens_T.size(),
        out.targets_T.size(), out.positions_T.size(), out.loss_mask_T.size(), T);
  const int64_t number = sample / samples_per_epoch_;
  const Permutation shuffle(samples_per_epoch_, options_.seed,
                            stream_of("samples", stream_, number));
  std::iota(out.positions_T.begin(), out.positions_T.end(), 0);
  std::fill(out.loss_mask_T.begin(), out.loss_mask_T.end(), 1.0f);
  const int64_t begin = shuffle(sample % samples_per_epoch_) * options_.seq_length;
  copy_tokens(epoch(number), begin, out, lengths_S);
  if (options_.eod_mask_loss && options_.eod_id >= 0) mask_loss(out);
}

void PackedSamples::copy_tokens(const Epoch& epoch, int64_t begin, const SampleView& out,
                                std::vector<int32_t>& lengths_S) const {
  const int64_t T = options_.seq_length;
  auto next = std::upper_bound(epoch.begin.begin(), epoch.begin.end(), begin);
  auto i = static_cast<size_t>(next - epoch.begin.begin()) - 1;
  int64_t offset = begin - epoch.begin[i];
  for (int64_t at = 0; at <= T; ++i, offset = 0) {
    const int64_t document = epoch.order[i];
    const int64_t left = range_.length(document) - offset;
    if (left == 0) continue;
    if (at > 0) begin_document(at, out);
    // Token `at` is an input unless at == T, and the target of the input before it.
    const int64_t inputs = std::min(left, T - at);
    const auto tokens = out.tokens_T.subspan(static_cast<size_t>(at), static_cast<size_t>(inputs));
    range_.read(document, offset, tokens);
    check_tokens(tokens, document);
    if (options_.reset_attention_mask && inputs > 0)
      lengths_S.push_back(static_cast<int32_t>(inputs));
    if (inputs < left) {
      const auto last = out.targets_T.last(1);
      range_.read(document, offset + inputs, last);
      check_tokens(last, document);
    }
    at += std::min(left, T + 1 - at);
  }
  if (!options_.reset_attention_mask) lengths_S.push_back(static_cast<int32_t>(T));
  std::copy(out.tokens_T.begin() + 1, out.tokens_T.end(), out.targets_T.begin());
}

/// Token `at` > 0 of the sample is the first of a document.
void PackedSamples::begin_document(int64_t at, const SampleView& out) const {
  if (options_.reset_position_ids && at < options_.seq_length && !out.positions_T.empty())
    std::iota(out.positions_T.begin() + at, out.positions_T.end(), 0);
  if (options_.eod_mask_loss && !out.loss_mask_T.empty())
    out.loss_mask_T[static_cast<size_t>(at - 1)] = 0;
}

void PackedSamples::mask_loss(const SampleView& out) const {
  for (size_t t = 0; t < out.loss_mask_T.size(); ++t)
    if (out.tokens_T[t] == options_.eod_id) out.loss_mask_T[t] = 0;
}

void PackedSamples::check_tokens(std::span<const int32_t> tokens, int64_t document) const {
  if (options_.vocab_size == 0) return;
  for (int32_t token : tokens)
    check(token >= 0 && token < options_.vocab_size,
          "{}: token id {} is outside the vocabulary of {} (document {})", range_.name(), token,
          options_.vocab_size, document);
}

}  // namespace moge::data
