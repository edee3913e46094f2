// Memory that is sized before a step runs: nothing is allocated inside a step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace moge {

/// A page-aligned block from mmap, in huge pages where the system gives them; zeroed.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  char* data() const { return data_; }
  size_t size() const { return size_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
};

/// A stack allocator over one Buffer. Every block is 64-byte aligned; taking more than the capacity
/// throws with both numbers.
class Arena {
 public:
  static constexpr size_t kAlignment = 64;

  explicit Arena(size_t capacity, std::string name = "arena");
  /// Bytes a block of `bytes` occupies.
  static constexpr size_t padded(size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  void* allocate(size_t bytes);
  template <class T>
  T* allocate(int64_t count) {
    return static_cast<T*>(allocate(static_cast<size_t>(count) * sizeof(T)));
  }
  size_t used() const { return used_; }
  size_t high_water() const { return high_water_; }  ///< largest used() so far
  size_t capacity() const { return buffer_.size(); }
  void reset_to(size_t mark) { used_ = mark; }

 private:
  Buffer buffer_;
  std::string name_;
  size_t used_ = 0, high_water_ = 0;
};

/// Gives back at scope end what was taken since its construction.
class ArenaScope {
 public:
  explicit ArenaScope(Arena& arena) : arena_(arena), mark_(arena.used()) {}
  ~ArenaScope() { arena_.reset_to(mark_); }
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  Arena& arena_;
  size_t mark_;
};

}  // namespace moge
