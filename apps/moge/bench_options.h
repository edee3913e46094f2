// What the benches share: lists of shapes on the command line, and the limit that no row passes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moge {

/// Every "AxB" of a list option, whose words are parted by blanks or commas; each side from 1 to
/// 2^20. `form` says in an error what a shape looks like: "KxN".
std::vector<std::pair<int64_t, int64_t>> parse_shapes(const char* option,
                                                      const std::vector<std::string>& words,
                                                      const char* form);

/// Fails if a row claims more than this machine was measured to allow.
void check_share(std::string_view row, std::string_view limit, double percent);

}  // namespace moge
