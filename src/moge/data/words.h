// Names and things that the domains of the demo corpus share.
#pragma once

#include <string_view>

namespace moge::data {

/// Names come in pairs, so that a name's sex is its place's parity: even "she", odd "he".
inline constexpr int kNumNames = 128;
extern const std::string_view kNames[kNumNames];

struct Pronouns {
  std::string_view he, him, his;
};
inline Pronouns pronouns_of(int name) {
  return name % 2 ? Pronouns{"he", "him", "his"} : Pronouns{"she", "her", "her"};
}

/// Small things to count, in the singular; all plurals end in a plain "s".
inline constexpr int kNumThings = 64;
extern const std::string_view kThings[kNumThings];

}  // namespace moge::data
