// A file's bytes in the address space, read only: pages come from disk as they are touched.
#pragma once

#include <cstddef>
#include <cstdint>
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

/// Takes the pages that hold these bytes of a mapped file out of this process: they come back from
/// the system's cache or from disk when they are touched again.
void give_back_pages(const void* data, int64_t bytes);

}  // namespace moge
