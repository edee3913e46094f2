#include "moge/data/indexed_dataset.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <limits>

#include "moge/core/error.h"

namespace moge::data {

namespace {

constexpr char kMagic[] = "MMIDIDX\0";  // nine bytes with the terminating zero
constexpr size_t kMagicBytes = 9;
constexpr int64_t kHeaderBytes = 9 + 8 + 1 + 8 + 8;
static_assert(sizeof(kMagic) == kMagicBytes);

/// Fields of the .idx lie on odd addresses.
template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <class T>
void put(FileWriter& file, T value) {
  file.write(&value, sizeof(T));
}

}  // namespace

int64_t size_of(TokenType type) {
  switch (type) {
    case TokenType::kU8:
    case TokenType::kI8:
      return 1;
    case TokenType::kI16:
    case TokenType::kU16:
      return 2;
    case TokenType::kI32:
      return 4;
    case TokenType::kI64:
      return 8;
  }
  return 0;
}

TokenType token_type_for(int64_t vocab_size) {
  return vocab_size < 65500 ? TokenType::kU16 : TokenType::kI32;
}

// ---- Writing.

IndexedDatasetWriter::IndexedDatasetWriter(const std::string& prefix, TokenType type)
    : prefix_(prefix), type_(type), bin_(prefix + ".bin") {}

template <class T>
void IndexedDatasetWriter::write_as(std::span<const int32_t> tokens) {
  for (int32_t token : tokens) {
    check(token >= 0 && static_cast<int64_t>(token) <= int64_t{std::numeric_limits<T>::max()},
          "{}.bin: token {} of document {} does not fit into {} bytes", prefix_, token,
          num_documents(), sizeof(T));
    put(bin_, static_cast<T>(token));
  }
}

void IndexedDatasetWriter::add_sequence(std::span<const int32_t> tokens) {
  check(tokens.size() <= size_t{std::numeric_limits<int32_t>::max()},
        "{}.bin: a sequence of {} tokens is longer than {}", prefix_, tokens.size(),
        std::numeric_limits<int32_t>::max());
  switch (type_) {
    case TokenType::kU8:
      write_as<uint8_t>(tokens);
      break;
    case TokenType::kI8:
      write_as<int8_t>(tokens);
      break;
    case TokenType::kI16:
      write_as<int16_t>(tokens);
      break;
    case TokenType::kU16:
      write_as<uint16_t>(tokens);
      break;
    case TokenType::kI32:
      write_as<int32_t>(tokens);
      break;
    case TokenType::kI64:
      write_as<int64_t>(tokens);
      break;
  }
  lengths_.push_back(static_cast<int32_t>(tokens.size()));
}

void IndexedDatasetWriter::end_document() {
  borders_.push_back(static_cast<int64_t>(lengths_.size()));
}

void IndexedDatasetWriter::write_index(FileWriter& idx) const {
  idx.write(kMagic, kMagicBytes);
  put<uint64_t>(idx, 1);
  put(idx, static_cast<uint8_t>(type_));
  put<uint64_t>(idx, lengths_.size());
  put<uint64_t>(idx, borders_.size());
  for (int32_t length : lengths_) put(idx, length);
  int64_t pointer = 0;
  for (int32_t length : lengths_) {
    put(idx, pointer);
    pointer += length * size_of(type_);
  }
  for (int64_t border : borders_) put(idx, border);
}

void IndexedDatasetWriter::commit() {
  if (borders_.back() != static_cast<int64_t>(lengths_.size())) end_document();
  FileWriter idx(prefix_ + ".idx");
  write_index(idx);
  // An older .idx must never stand beside the new .bin: better no dataset than a mixed one.
  std::filesystem::remove(prefix_ + ".idx");
  bin_.commit();
  idx.commit();
}

// ---- Reading.

IndexedDataset::IndexedDataset(const std::string& prefix)
    : prefix_(prefix), idx_file_(prefix + ".idx"), bin_file_(prefix + ".bin") {
  idx_ = idx_file_.bytes();
  bin_ = bin_file_.bytes();
  parse_header();
}

IndexedDataset::IndexedDataset(std::span<const std::byte> idx, std::span<const std::byte> bin,
                               const std::string& prefix)
    : prefix_(prefix), idx_(idx), bin_(bin) {
  parse_header();
}

void IndexedDataset::parse_header() {
  const auto size = static_cast<int64_t>(idx_.size());
  const std::byte* p = idx_.data();
  check(size >= kHeaderBytes, "{}.idx: {} bytes, a header alone has {}", prefix_, size,
        kHeaderBytes);
  check(std::memcmp(p, kMagic, kMagicBytes) == 0,
        "{}.idx: does not begin with MMIDIDX, so it is no Megatron index", prefix_);
  const auto version = load<uint64_t>(p + 9);
  check(version == 1, "{}.idx: version {}, want 1", prefix_, version);
  const auto code = load<uint8_t>(p + 17);
  check((code >= 1 && code <= 5) || code == 8,
        "{}.idx: type code {} is no integer type (1 u8, 2 i8, 3 i16, 4 i32, 5 i64, 8 u16)", prefix_,
        code);
  type_ = static_cast<TokenType>(code);
  const auto sequences = load<uint64_t>(p + 18), borders = load<uint64_t>(p + 26);
  const auto rest = static_cast<uint64_t>(size - kHeaderBytes);
  check(sequences <= rest / 12 && borders <= (rest - sequences * 12) / 8,
        "{}.idx: {} sequences and {} document borders do not fit into the file's {} bytes", prefix_,
        sequences, borders, size);
  const uint64_t left = rest - sequences * 12 - borders * 8;
  check(left == 0 || left == sequences,
        "{}.idx: {} bytes follow {} sequences and {} document borders, want none", prefix_, left,
        sequences, borders);
  num_sequences_ = static_cast<int64_t>(sequences);
  num_borders_ = static_cast<int64_t>(borders);
  lengths_ = p + kHeaderBytes;
  pointers_ = lengths_ + 4 * sequences;
  borders_ = pointers_ + 8 * sequences;
  check_sequences();
  check_borders();
}

void IndexedDataset::check_sequences() const {
  const auto bin_bytes = static_cast<int64_t>(bin_.size());
  const int64_t width = size_of(type_);
  for (int64_t i = 0; i < num_sequences_; ++i) {
    const int64_t length = sequence_length(i), pointer = sequence_pointer(i);
    check(length >= 0, "{}.idx: sequence {} has {} tokens", prefix_, i, length);
    check(pointer >= 0 && pointer <= bin_bytes && length <= (bin_bytes - pointer) / width,
          "{}.idx: sequence {} ({} tokens of {} bytes from byte {}) points past {}.bin, which has "
          "{} bytes",
          prefix_, i, length, width, pointer, prefix_, bin_bytes);
  }
}

void IndexedDataset::check_borders() const {
  check(num_borders_ >= 1, "{}.idx: no document border, want at least 1", prefix_);
  check(document_begin(0) == 0, "{}.idx: the first document begins at sequence {}, want 0", prefix_,
        document_begin(0));
  for (int64_t i = 1; i < num_borders_; ++i)
    check(document_begin(i) >= document_begin(i - 1),
          "{}.idx: document {} begins at sequence {}, before document {} at {}", prefix_, i,
          document_begin(i), i - 1, document_begin(i - 1));
  check(document_begin(num_borders_ - 1) == num_sequences_,
        "{}.idx: the documents end at sequence {}, but there are {} sequences", prefix_,
        document_begin(num_borders_ - 1), num_sequences_);
}

int64_t IndexedDataset::sequence_length(int64_t sequence) const {
  return load<int32_t>(lengths_ + 4 * sequence);
}

int64_t IndexedDataset::sequence_pointer(int64_t sequence) const {
  return load<int64_t>(pointers_ + 8 * sequence);
}

int64_t IndexedDataset::document_begin(int64_t document) const {
  return load<int64_t>(borders_ + 8 * document);
}

template <class T>
void IndexedDataset::read_as(int64_t sequence, const std::byte* from,
                             std::span<int32_t> out) const {
  for (size_t i = 0; i < out.size(); ++i) {
    const T value = load<T>(from + i * sizeof(T));
    out[i] = static_cast<int32_t>(value);
    if constexpr (sizeof(T) > 4)
      check(value == out[i], "{}.bin: {} in sequence {} is no token id", prefix_, value, sequence);
  }
}

void IndexedDataset::read(int64_t sequence, int64_t offset, std::span<int32_t> out) const {
  const auto count = static_cast<int64_t>(out.size());
  check(sequence >= 0 && sequence < num_sequences_, "{}: sequence {} of {}", prefix_, sequence,
        num_sequences_);
  check(offset >= 0 && count <= sequence_length(sequence) - offset,
        "{}: tokens {} to {} of sequence {}, which has {}", prefix_, offset, offset + count,
        sequence, sequence_length(sequence));
  const std::byte* from = bin_.data() + sequence_pointer(sequence) + offset * size_of(type_);
  switch (type_) {
    case TokenType::kU8:
      return read_as<uint8_t>(sequence, from, out);
    case TokenType::kI8:
      return read_as<int8_t>(sequence, from, out);
    case TokenType::kI16:
      return read_as<int16_t>(sequence, from, out);
    case TokenType::kU16:
      return read_as<uint16_t>(sequence, from, out);
    case TokenType::kI32:
      return read_as<int32_t>(sequence, from, out);
    case TokenType::kI64:
      return read_as<int64_t>(sequence, from, out);
  }
}

}  // namespace moge::data
