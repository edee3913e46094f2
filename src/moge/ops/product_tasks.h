// How products are cut: busy experts, the list of tasks.
#pragma once

#include <algorithm>
#include <span>

#include "moge/core/integers.h"
#include "moge/ops/product.h"

namespace moge {

constexpr int64_t kTasksPerThread = 4;

inline int64_t wanted_tasks(const Context& context) {
  return context.num_threads() == 1 ? 1 : kTasksPerThread * context.num_threads();
}

/// A part of C that one worker computes alone.
struct ProductTask {
  int32_t expert;
  int32_t row_begin, row_end;
  int32_t column_begin, column_end;
};

class ProductTasks {
 public:
  ProductTasks(Arena& arena, int64_t capacity)
      : tasks_(arena.allocate<ProductTask>(capacity)), capacity_(capacity) {}
  void clear() { size_ = 0; }
  void push(int64_t expert, int64_t row_begin, int64_t row_end, int64_t column_begin,
            int64_t column_end) {
    MOGE_ASSERT(size_ < capacity_);
    tasks_[size_++] = {static_cast<int32_t>(expert), static_cast<int32_t>(row_begin),
                       static_cast<int32_t>(row_end), static_cast<int32_t>(column_begin),
                       static_cast<int32_t>(column_end)};
  }
  int64_t size() const { return size_; }
  const ProductTask& operator[](int64_t i) const { return tasks_[i]; }

 private:
  ProductTask* tasks_;
  int64_t capacity_, size_ = 0;
};

/// Experts that have rows, those with most first, so that the last tasks are small.
inline std::span<int32_t> busy_experts(Arena& arena, Groups offsets) {
  const int64_t experts = static_cast<int64_t>(offsets.size()) - 1;
  auto* order = arena.allocate<int32_t>(experts);
  int64_t count = 0;
  for (int64_t e = 0; e < experts; ++e)
    if (offsets[e + 1] > offsets[e]) order[count++] = static_cast<int32_t>(e);
  const auto rows = [&](int32_t e) { return offsets[e + 1] - offsets[e]; };
  std::sort(order, order + count,
            [&](int32_t a, int32_t b) { return rows(a) != rows(b) ? rows(a) > rows(b) : a < b; });
  return {order, static_cast<size_t>(count)};
}

inline size_t padded_bytes(int64_t count, size_t size) {
  return Arena::padded(static_cast<size_t>(count) * size);
}

}  // namespace moge
