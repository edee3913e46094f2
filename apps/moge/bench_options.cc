#include "bench_options.h"

#include <charconv>

#include "moge/core/error.h"

namespace moge {

namespace {

/// 0 unless all of `text` is a whole number from 1 to 2^20.
int64_t side_of(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && value >= 1 && value <= int64_t{1} << 20 ? value : 0;
}

}  // namespace

std::vector<std::pair<int64_t, int64_t>> parse_shapes(const char* option,
                                                      const std::vector<std::string>& words,
                                                      const char* form) {
  std::vector<std::pair<int64_t, int64_t>> shapes;
  for (const std::string& word : words)
    for (size_t begin = 0; begin <= word.size();) {
      const size_t end = std::min(word.find(',', begin), word.size());
      const std::string_view shape = std::string_view(word).substr(begin, end - begin);
      const size_t x = shape.find('x');
      const int64_t first = side_of(shape.substr(0, x));
      const int64_t second = x < shape.size() ? side_of(shape.substr(x + 1)) : 0;
      if (first == 0 || second == 0)
        throw UsageError(fmt::format("--{} has '{}', want {} with sides from 1 to 1048576", option,
                                     shape, form));
      shapes.emplace_back(first, second);
      begin = end + 1;
    }
  return shapes;
}

void check_share(std::string_view row, std::string_view limit, double percent) {
  check(percent <= 100.0,
        "[bench] {} is at {:.1f} % of the {} measured around it: something else ran while that was "
        "measured; run it again",
        row, percent, limit);
}

}  // namespace moge
