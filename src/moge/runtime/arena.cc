#include "moge/runtime/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <utility>

#include "moge/core/error.h"

namespace moge {

Buffer::Buffer(size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  constexpr size_t kHugePage = size_t{2} << 20;
  // Over-allocate by one huge page and give the ends back, so that the block starts on its border.
  const size_t slack = bytes >= kHugePage ? kHugePage : 0;
  void* base = mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  check(base != MAP_FAILED, "[memory] cannot reserve {} bytes", bytes);
  data_ = static_cast<char*>(base);
  if (slack) {
    const size_t head = (kHugePage - reinterpret_cast<uintptr_t>(base) % kHugePage) % kHugePage;
    const size_t page = 4096, end = (head + bytes + page - 1) / page * page;
    if (head) munmap(base, head);
    if (end < bytes + slack) munmap(data_ + end, bytes + slack - end);
    data_ += head;
    madvise(data_, bytes, MADV_HUGEPAGE);
  }
}

Buffer::~Buffer() {
  if (data_) munmap(data_, size_);
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Arena::Arena(size_t capacity, std::string name)
    : buffer_(padded(capacity)), name_(std::move(name)) {}

void* Arena::allocate(size_t bytes) {
  const size_t need = padded(bytes);
  check(used_ + need <= buffer_.size(), "[{}] {} bytes do not fit: {} of {} in use", name_, need,
        used_, buffer_.size());
  void* block = buffer_.data() + used_;
  used_ += need;
  high_water_ = std::max(high_water_, used_);
  return block;
}

}  // namespace moge
