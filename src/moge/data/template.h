// The small language in which the demo corpus is written: texts with slots and alternatives.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "moge/core/rng.h"

namespace moge::data {

/// Fills texts from named slots, drawing where a text leaves a choice:
///   {name}    the slot's value              {^name}  the same with a capital first letter
///   {a name}  the value after "a" or "an"   <x|y|z>  one of the alternatives; they may nest
/// Values are inserted as they are: braces and brackets in them mean nothing.
class Filler {
 public:
  explicit Filler(Rng& rng) : rng_(rng) {}

  void set(std::string_view slot, std::string_view value);
  void set(std::string_view slot, int64_t value);

  /// Appends `text` with slots filled and alternatives drawn.
  void append(std::string& out, std::string_view text);
  /// Appends `text` with slots filled; < and > stand for themselves (program text).
  void append_verbatim(std::string& out, std::string_view text) const;

  Rng& rng() { return rng_; }

 private:
  struct Slot {
    std::string_view name;
    std::string value;
  };
  const std::string& value_of(std::string_view slot) const;
  void append_slot(std::string& out, std::string_view inside) const;

  Rng& rng_;
  std::vector<Slot> slots_;
};

/// One element of a table.
template <class T>
const T& pick(Rng& rng, std::span<const T> table) {
  return table[rng.below(table.size())];
}
template <class T, size_t N>
const T& pick(Rng& rng, const T (&table)[N]) {
  return table[rng.below(N)];
}

/// A whole number in [low, high].
inline int draw_between(Rng& rng, int low, int high) {
  return low + static_cast<int>(rng.below(static_cast<uint64_t>(high - low + 1)));
}

}  // namespace moge::data
