#include "moge/data/prepare.h"

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "moge/core/error.h"
#include "moge/data/indexed_dataset.h"
#include "moge/data/text_input.h"
#include "moge/runtime/thread_pool.h"
#include "moge/text/tokenizer.h"

namespace moge::data {

namespace {

using Sink = std::function<void(std::span<const int32_t>, bool)>;

/// Collects pieces of text, encodes them side by side, and hands the tokens on in order.
class Encoder {
 public:
  Encoder(const Tokenizer& tokenizer, const PrepareOptions& options, const std::string& input,
          const Sink& sink)
      : tokenizer_(tokenizer), options_(options), sink_(sink) {
    if (!options.append_eod) return;
    eod_ = tokenizer.eos_id();
    check(eod_.has_value(),
          "{}: the tokenizer names no end-of-text token to put after each document", input);
  }

  void add(const TextPiece& piece) {
    pieces_.push_back({std::string(piece.text), piece.ends_document, {}});
    pending_bytes_ += static_cast<int64_t>(piece.text.size());
    position_ = piece.file_position;
    if (pending_bytes_ >= kBatchBytes) flush();
  }

  void flush() {
    const auto encode = [&](int64_t i, int) { encode_piece(pieces_[static_cast<size_t>(i)]); };
    const auto count = static_cast<int64_t>(pieces_.size());
    if (options_.pool)
      options_.pool->parallel_for(count, encode);
    else
      for (int64_t i = 0; i < count; ++i) encode(i, 0);
    for (const Piece& piece : pieces_) {
      sink_(piece.ids, piece.ends_document);
      summary_.documents += piece.ends_document;
      summary_.tokens += static_cast<int64_t>(piece.ids.size());
    }
    summary_.text_bytes += std::exchange(pending_bytes_, 0);
    pieces_.clear();
    if (options_.progress) options_.progress(position_);
  }

  const PrepareSummary& summary() const { return summary_; }

 private:
  static constexpr int64_t kBatchBytes = int64_t{2} << 20;
  struct Piece {
    std::string text;
    bool ends_document;
    std::vector<int32_t> ids;
  };
  void encode_piece(Piece& piece) const {
    piece.ids = tokenizer_.encode(piece.text, /*add_special=*/false);
    if (eod_ && piece.ends_document) piece.ids.push_back(*eod_);
  }

  const Tokenizer& tokenizer_;
  const PrepareOptions& options_;
  const Sink& sink_;
  std::optional<int32_t> eod_;
  std::vector<Piece> pieces_;
  int64_t pending_bytes_ = 0, position_ = 0;
  PrepareSummary summary_;
};

}  // namespace

PrepareSummary tokenize_file(const std::string& input, const Tokenizer& tokenizer,
                             const PrepareOptions& options, const Sink& sink) {
  Encoder encoder(tokenizer, options, input, sink);
  read_text(input, [&](const TextPiece& piece) { encoder.add(piece); });
  encoder.flush();
  check(encoder.summary().tokens > 0, "{}: the corpus gives no tokens", input);
  return encoder.summary();
}

PrepareSummary prepare_dataset(const std::string& input, const Tokenizer& tokenizer,
                               const std::string& prefix, const PrepareOptions& options) {
  IndexedDatasetWriter writer(prefix, token_type_for(tokenizer.vocab_size()));
  const PrepareSummary summary = tokenize_file(
      input, tokenizer, options, [&](std::span<const int32_t> tokens, bool ends_document) {
        writer.add_sequence(tokens);
        if (ends_document) writer.end_document();
      });
  writer.commit();
  return summary;
}

std::shared_ptr<const Documents> load_text(const std::string& input, const Tokenizer& tokenizer,
                                           const PrepareOptions& options) {
  auto documents = std::make_shared<MemoryDocuments>(input);
  tokenize_file(input, tokenizer, options,
                [&](std::span<const int32_t> tokens, bool ends_document) {
                  documents->append(tokens);
                  if (ends_document) documents->end_document();
                });
  return documents;
}

}  // namespace moge::data
