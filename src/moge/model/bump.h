// Hands out pieces of one block of memory that is used for one thing after another.
#pragma once

#include "moge/core/error.h"
#include "moge/runtime/arena.h"

namespace moge {

class Bump {
 public:
  Bump(void* memory, size_t bytes) : memory_(static_cast<char*>(memory)), size_(bytes) {}
  void* operator()(int64_t bytes) {
    const size_t at = used_;
    used_ += Arena::padded(static_cast<size_t>(bytes));
    check(used_ <= size_, "[model] activations take {} bytes, the formula says {}", used_, size_);
    return memory_ + at;
  }
  size_t used() const { return used_; }

 private:
  char* memory_;
  size_t size_, used_ = 0;
};

}  // namespace moge
