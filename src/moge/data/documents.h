// Documents of tokens, whatever holds them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "moge/data/indexed_dataset.h"

namespace moge::data {

class Documents {
 public:
  virtual ~Documents() = default;
  virtual const std::string& name() const = 0;  ///< the file's, for messages
  virtual int64_t size() const = 0;
  virtual int64_t length(int64_t document) const = 0;
  /// Tokens [offset, offset + out.size()) of a document.
  virtual void read(int64_t document, int64_t offset, std::span<int32_t> out) const = 0;
};

/// Of PREFIX.bin/.idx, mapped.
class IndexedDocuments : public Documents {
 public:
  explicit IndexedDocuments(IndexedDataset data) : data_(std::move(data)) {}
  const std::string& name() const override { return data_.prefix(); }
  int64_t size() const override { return data_.num_documents(); }
  int64_t length(int64_t document) const override;
  void read(int64_t document, int64_t offset, std::span<int32_t> out) const override;

 private:
  IndexedDataset data_;
};

/// In memory, for text that is tokenized when a run starts.
class MemoryDocuments : public Documents {
 public:
  explicit MemoryDocuments(std::string name) : name_(std::move(name)) {}
  void append(std::span<const int32_t> tokens) {
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  }
  void end_document() { ends_.push_back(static_cast<int64_t>(tokens_.size())); }

  const std::string& name() const override { return name_; }
  int64_t size() const override { return static_cast<int64_t>(ends_.size()) - 1; }
  int64_t length(int64_t document) const override {
    return ends_[static_cast<size_t>(document) + 1] - ends_[static_cast<size_t>(document)];
  }
  void read(int64_t document, int64_t offset, std::span<int32_t> out) const override;

 private:
  std::string name_;
  std::vector<int32_t> tokens_;
  std::vector<int64_t> ends_{0};
};

}  // namespace moge::data
