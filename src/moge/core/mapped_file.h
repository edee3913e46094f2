// A file's bytes in the address space, read only: pages come from disk as they are touched.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace moge {

class MappedFile {
 public:
  MappedFile() = default;
  /// Throws Error with the path and the system's reason. An empty file gives no bytes.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace moge
