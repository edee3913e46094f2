// Text files into tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "moge/data/documents.h"

namespace moge {
class Tokenizer;
class ThreadPool;
}  // namespace moge

namespace moge::data {

struct PrepareOptions {
  bool append_eod = true;      ///< the tokenizer's eos id after each document
  ThreadPool* pool = nullptr;  ///< encodes documents side by side; null: one after the other
  /// Called now and then with the bytes of the file that are done; may throw to stop.
  std::function<void(int64_t bytes)> progress;
};

struct PrepareSummary {
  int64_t documents = 0, tokens = 0, text_bytes = 0;
};

/// Calls `sink` with the tokens of each piece of a document, in order.
PrepareSummary tokenize_file(
    const std::string& input, const Tokenizer& tokenizer, const PrepareOptions& options,
    const std::function<void(std::span<const int32_t> tokens, bool ends_document)>& sink);

/// Writes PREFIX.bin/.idx. Memory stays bounded by a few MiB and 12 bytes a document.
PrepareSummary prepare_dataset(const std::string& input, const Tokenizer& tokenizer,
                               const std::string& prefix, const PrepareOptions& options);

/// The same into memory.
std::shared_ptr<const Documents> load_text(const std::string& input, const Tokenizer& tokenizer,
                                           const PrepareOptions& options);

}  // namespace moge::data
