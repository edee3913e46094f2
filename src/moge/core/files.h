// Reading and writing files so that nothing is lost: what is written appears under its name only
// when it is complete and on disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace moge {

/// The whole file; throws Error if it cannot be read or is larger than max_bytes.
std::string read_file(const std::filesystem::path& path, int64_t max_bytes = int64_t{1} << 30);

/// A file being written under a temporary name beside `path`; commit() syncs and renames it.
/// Without commit the temporary file is removed. Every failure (a full disk, a missing folder)
/// throws Error with the path and the system's reason.
class FileWriter {
 public:
  explicit FileWriter(std::filesystem::path path);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  int64_t bytes_written() const { return bytes_; }
  void commit();

 private:
  void flush();

  std::filesystem::path path_, temporary_;
  int fd_ = -1;
  int64_t bytes_ = 0;
  std::string buffer_;
};

/// FileWriter for a text that is at hand.
void write_file(const std::filesystem::path& path, std::string_view text);

/// Makes renames inside `folder` durable.
void sync_folder(const std::filesystem::path& folder);

}  // namespace moge
