// The safetensors format: 8 bytes of header length, a JSON header, then the data. Files come from
// anywhere: every number is checked against the file before it is used.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "moge/core/files.h"
#include "moge/core/mapped_file.h"
#include "moge/tensor/tensor.h"

namespace moge {

/// A tensor of a file: where its bytes lie behind the header.
struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  int64_t begin = 0, end = 0;  ///< bytes of the data section

  int64_t numel() const;
  std::string to_string() const;  ///< "float32 [4, 192]"
};

/// The header of a file of `file_bytes` that starts with `bytes`, entries by offset. Refuses a
/// header longer than the file, offsets outside the data, that overlap or leave gaps, sizes that do
/// not fit the shape, and types that moge does not read. `where` names the file in messages.
struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;
  int64_t data_offset = 0;
};
SafetensorsHeader parse_safetensors(std::span<const char> bytes, int64_t file_bytes,
                                    const std::string& where);

/// A tensor's bytes in a mapped checkpoint; they need not be aligned.
struct StoredTensor {
  SafetensorsEntry entry;
  const char* data = nullptr;
  std::string file;
};

/// All tensors of one file or of a folder (model.safetensors, or shards with an index).
class Checkpoint {
 public:
  static Checkpoint open_file(const std::filesystem::path& path);
  static Checkpoint open_folder(const std::filesystem::path& folder);

  const StoredTensor* find(const std::string& name) const;
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  const std::string& where() const { return where_; }

 private:
  void add_file(const std::filesystem::path& path);

  std::vector<std::unique_ptr<MappedFile>> files_;
  std::map<std::string, StoredTensor> tensors_;
  std::string where_;
};

/// Elements [begin, end) of a stored float tensor as fp32 or bf16.
void read_elements(const StoredTensor& tensor, int64_t begin, int64_t end, float* out);
void read_elements(const StoredTensor& tensor, int64_t begin, int64_t end, BFloat16* out);

/// A tensor to be written; `write` puts exactly its bytes.
struct TensorToWrite {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::function<void(FileWriter& out)> write;
};

/// One file, complete or not there at all.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors);

/// model.safetensors, or shards of at most max_shard_bytes with model.safetensors.index.json.
void write_checkpoint(const std::filesystem::path& folder, std::span<const TensorToWrite> tensors,
                      int64_t max_shard_bytes = 5'000'000'000);

}  // namespace moge
