#include "byte_size.h"

#include <charconv>
#include <cmath>
#include <cstring>

#include "moge/core/error.h"

namespace moge {

int64_t parse_bytes(std::string_view text, const std::string& option) {
  const auto refuse = [&] {
    throw UsageError(
        fmt::format("--{} is '{}', want bytes or a size such as 4G or 512M", option, text));
  };
  double number = 0;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, number);
  if (error != std::errc{} || !(number >= 0)) refuse();
  std::string_view unit(end, static_cast<size_t>(last - end));
  if (unit.ends_with("iB")) unit.remove_suffix(2);
  if (!unit.empty()) {
    static constexpr const char* kUnits = "KMGTkmgt";
    const char* found = unit.size() == 1 ? std::strchr(kUnits, unit[0]) : nullptr;
    if (!found) refuse();
    const auto index = found - kUnits;
    number *= std::pow(index < 4 ? 1024.0 : 1000.0, static_cast<double>(index % 4 + 1));
  }
  if (number >= 0x1p62) refuse();
  return static_cast<int64_t>(number);
}

}  // namespace moge
