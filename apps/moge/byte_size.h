// Amounts of memory as people write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace moge {

/// "4G" or "4GiB" = 4 * 2^30, "512M", "1.5T"; "4g" = 4 * 10^9 as vLLM reads it; a plain number is
/// bytes. Throws UsageError naming `option`.
int64_t parse_bytes(std::string_view text, const std::string& option);

}  // namespace moge
