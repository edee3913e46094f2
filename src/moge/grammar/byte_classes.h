// The 256 bytes in at most 64 classes, as fine as grammars tell bytes apart: a set of bytes is one
// word.
#pragma once

#include <array>
#include <cstdint>

namespace moge::grammar {

using ByteClasses = uint64_t;  ///< bit c: class c

/// The class of each byte.
inline constexpr std::array<uint8_t, 256> kClassOfByte = [] {
  std::array<uint8_t, 256> classes{};
  uint8_t next = 6;  // 0: control characters; 1 to 5: parts of what ASCII has not
  const auto range = [&](int first, int last) {
    for (int b = first; b <= last; ++b) classes[static_cast<size_t>(b)] = next;
    ++next;
  };
  const auto each = [&](int first, int last) {
    for (int b = first; b <= last; ++b) range(b, b);
  };
  for (const auto& [first, last] : {std::array{'a', 'f'}, {'g', 'z'}, {'A', 'F'}, {'G', 'Z'}})
    range(first, last);
  range('0', '0');
  range('1', '9');
  each('\t', '\n');
  each('\r', '\r');
  for (const auto& [first, last] : {std::array{' ', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}})
    each(first, last);
  for (int b = 0x80; b < 0x100; ++b)
    classes[static_cast<size_t>(b)] = b < 0xC0   ? 1
                                      : b < 0xC2 ? 5
                                      : b < 0xE0 ? 2
                                      : b < 0xF0 ? 3
                                      : b < 0xF5 ? 4
                                                 : 5;
  return classes;
}();

inline constexpr ByteClasses class_of(uint8_t byte) { return ByteClasses{1} << kClassOfByte[byte]; }

}  // namespace moge::grammar
