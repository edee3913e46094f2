// A hash map from 64-bit keys to 64-bit values: open addressing, one cache line a look-up.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace moge::text {

class FlatMap {
 public:
  static constexpr uint64_t kNone = ~uint64_t{0};  ///< no key and no value may be this

  explicit FlatMap(size_t capacity = 8) {
    size_t size = 16;
    while (size < capacity * 2) size *= 2;
    slots_.assign(size, {kNone, kNone});
  }

  /// The value of `key`, or kNone.
  uint64_t find(uint64_t key) const {
    for (size_t at = slot(key);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].first == key) return slots_[at].second;
      if (slots_[at].first == kNone) return kNone;
    }
  }

  void set(uint64_t key, uint64_t value) {
    if ((count_ + 1) * 2 > slots_.size()) grow();
    size_t at = slot(key);
    while (slots_[at].first != key && slots_[at].first != kNone)
      at = (at + 1) & (slots_.size() - 1);
    count_ += slots_[at].first == kNone;
    slots_[at] = {key, value};
  }

 private:
  size_t slot(uint64_t key) const {
    key *= 0x9E3779B97F4A7C15u;  // 2^64 / golden ratio
    return (key ^ (key >> 32)) & (slots_.size() - 1);
  }

  void grow() {
    std::vector<std::pair<uint64_t, uint64_t>> old(slots_.size() * 2, {kNone, kNone});
    old.swap(slots_);
    count_ = 0;
    for (const auto& [key, value] : old)
      if (key != kNone) set(key, value);
  }

  std::vector<std::pair<uint64_t, uint64_t>> slots_;
  size_t count_ = 0;
};

}  // namespace moge::text
