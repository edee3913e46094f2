#include "moge/data/documents.h"

#include <algorithm>

#include "moge/core/error.h"

namespace moge::data {

int64_t IndexedDocuments::length(int64_t document) const {
  int64_t length = 0;
  for (int64_t s = data_.document_begin(document); s < data_.document_begin(document + 1); ++s)
    length += data_.sequence_length(s);
  return length;
}

void IndexedDocuments::read(int64_t document, int64_t offset, std::span<int32_t> out) const {
  const int64_t end = data_.document_begin(document + 1);
  for (int64_t s = data_.document_begin(document); s < end && !out.empty(); ++s) {
    const int64_t length = data_.sequence_length(s);
    if (offset < length) {
      const int64_t count = std::min(length - offset, static_cast<int64_t>(out.size()));
      data_.read(s, offset, out.first(static_cast<size_t>(count)));
      out = out.subspan(static_cast<size_t>(count));
    }
    offset = std::max<int64_t>(offset - length, 0);
  }
  check(out.empty(), "{}: document {} ends {} tokens early", name(), document, out.size());
}

void MemoryDocuments::read(int64_t document, int64_t offset, std::span<int32_t> out) const {
  check(offset >= 0 && offset + static_cast<int64_t>(out.size()) <= length(document),
        "{}: document {} has {} tokens, not {}", name_, document, length(document),
        offset + static_cast<int64_t>(out.size()));
  const auto from = tokens_.begin() + ends_[static_cast<size_t>(document)] + offset;
  std::copy_n(from, out.size(), out.begin());
}

}  // namespace moge::data
