// Megatron's token files: PREFIX.bin holds the tokens of all sequences, PREFIX.idx says where each
// sequence begins and which sequences make a document.
//
//   .idx  "MMIDIDX\0\0", u64 version = 1, u8 type, u64 sequences S, u64 document borders B,
//         i32 length[S] in tokens, i64 pointer[S] in bytes, i64 border[B] (0 first, S last),
//         optionally i8 mode[S] (multimodal files; not read)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "moge/core/files.h"
#include "moge/core/mapped_file.h"

namespace moge::data {

/// Type codes of the format; floating-point files hold no tokens.
enum class TokenType : uint8_t { kU8 = 1, kI8 = 2, kI16 = 3, kI32 = 4, kI64 = 5, kU16 = 8 };
int64_t size_of(TokenType type);

/// u16 below 65,500 ids, as Megatron chooses, else i32.
TokenType token_type_for(int64_t vocab_size);

/// Writes both files as tokens come in; they appear at commit(), the .idx last.
class IndexedDatasetWriter {
 public:
  IndexedDatasetWriter(const std::string& prefix, TokenType type);

  /// Appends a sequence to the document under way.
  void add_sequence(std::span<const int32_t> tokens);
  void end_document();
  void add_document(std::span<const int32_t> tokens) {
    add_sequence(tokens);
    end_document();
  }
  int64_t num_documents() const { return static_cast<int64_t>(borders_.size()) - 1; }
  int64_t num_tokens() const { return bin_.bytes_written() / size_of(type_); }

  void commit();

 private:
  template <class T>
  void write_as(std::span<const int32_t> tokens);
  void write_index(FileWriter& idx) const;

  std::string prefix_;
  TokenType type_;
  FileWriter bin_;
  std::vector<int32_t> lengths_;
  std::vector<int64_t> borders_{0};
};

/// Reads such a pair. Everything the .idx says is checked when it is opened.
class IndexedDataset {
 public:
  explicit IndexedDataset(const std::string& prefix);
  /// From bytes that outlive the object; errors name `prefix`.
  IndexedDataset(std::span<const std::byte> idx, std::span<const std::byte> bin,
                 const std::string& prefix);

  const std::string& prefix() const { return prefix_; }
  TokenType type() const { return type_; }
  int64_t num_sequences() const { return num_sequences_; }
  int64_t num_documents() const { return num_borders_ - 1; }

  int64_t sequence_length(int64_t sequence) const;
  /// First sequence of a document; document num_documents() gives num_sequences().
  int64_t document_begin(int64_t document) const;
  /// Tokens [offset, offset + out.size()) of a sequence.
  void read(int64_t sequence, int64_t offset, std::span<int32_t> out) const;

 private:
  void parse_header();
  void check_sequences() const;
  void check_borders() const;
  int64_t sequence_pointer(int64_t sequence) const;
  template <class T>
  void read_as(int64_t sequence, const std::byte* from, std::span<int32_t> out) const;

  std::string prefix_;
  MappedFile idx_file_, bin_file_;
  std::span<const std::byte> idx_, bin_;
  TokenType type_ = TokenType::kI32;
  int64_t num_sequences_ = 0, num_borders_ = 0;
  const std::byte *lengths_ = nullptr, *pointers_ = nullptr, *borders_ = nullptr;
};

}  // namespace moge::data
