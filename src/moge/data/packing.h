// Documents packed into training samples, as GPT trainers do: the tokens of all documents stand in
// one row, sample j is tokens [j * T, j * T + T] of it, and so may span documents.
// T sequence length (tokens a sample trains on), S sequences (pieces of documents) in a sample.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "moge/data/documents.h"

namespace moge::data {

struct PackingOptions {
  int64_t seq_length = 0;             ///< T
  uint64_t seed = 1;                  ///< of the order
  bool reset_position_ids = false;    ///< positions begin anew with each document
  bool reset_attention_mask = false;  ///< attention does not cross documents
  bool eod_mask_loss = false;         ///< no loss on the step from one document into the next
  int32_t eod_id = -1;                ///< end-of-document token, if there is one
  int64_t vocab_size = 0;             ///< ids at or above it are refused; 0: not checked
};

/// Where a sample goes; memory of the caller. positions and loss_mask may be empty: not wanted.
struct SampleView {
  std::span<int32_t> tokens_T, targets_T, positions_T;
  std::span<float> loss_mask_T;  ///< 1 or 0
};

/// Tokens [begin, end) of all documents in their order; documents at its ends may be cut.
class DocumentRange {
 public:
  DocumentRange(std::shared_ptr<const Documents> documents, int64_t begin, int64_t end);
  /// All tokens.
  explicit DocumentRange(std::shared_ptr<const Documents> documents);

  const std::string& name() const { return documents_->name(); }
  int64_t num_tokens() const { return end_ - begin_; }
  int64_t size() const { return last_ - first_; }  ///< documents
  int64_t length(int64_t document) const;
  void read(int64_t document, int64_t offset, std::span<int32_t> out) const;

 private:
  std::shared_ptr<const Documents> documents_;  // shared by the parts of a split
  int64_t begin_, end_;
  int64_t first_ = 0, last_ = 0;            // documents
  int64_t first_begin_ = 0, last_end_ = 0;  // tokens of them that belong to the range
};

/// Samples of one range in an order that is a function of (seed, stream, sample number): each epoch
/// shuffles the documents, packs them, and shuffles the samples.
class PackedSamples {
 public:
  /// `part` is how messages call the range ("train", "valid").
  PackedSamples(DocumentRange range, const PackingOptions& options, uint64_t stream,
                const std::string& part);

  int64_t samples_per_epoch() const { return samples_per_epoch_; }
  int64_t num_tokens() const { return range_.num_tokens(); }

  /// Writes sample number `sample` (any number from 0 on) and appends the lengths of its sequences,
  /// whose sum is T. Allocates only when an epoch is met for the first time.
  void get(int64_t sample, const SampleView& out, std::vector<int32_t>& lengths_S);

 private:
  /// The documents in the order of one epoch, and where each begins in the row.
  struct Epoch {
    int64_t number = -1;
    std::vector<int64_t> order, begin;
  };
  const Epoch& epoch(int64_t number);
  void copy_tokens(const Epoch& epoch, int64_t begin, const SampleView& out,
                   std::vector<int32_t>& lengths_S) const;
  void begin_document(int64_t at, const SampleView& out) const;
  void mask_loss(const SampleView& out) const;
  void check_tokens(std::span<const int32_t> tokens, int64_t document) const;

  DocumentRange range_;
  PackingOptions options_;
  uint64_t stream_;
  int64_t samples_per_epoch_;
  std::array<Epoch, 2> epochs_;  // by parity: a batch may stand on the border of two
};

}  // namespace moge::data
