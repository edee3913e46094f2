// A compiled regular expression of a tokenizer (PCRE2 with its JIT), shared by threads.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace moge::text {

/// Bytes [begin, end) of a text; `matched` tells a match from the gap between two.
struct Span {
  size_t begin = 0, end = 0;
  bool matched = false;
};

class Regex {
 public:
  /// Compiles an expression in Oniguruma's syntax. Throws Error with the reason.
  explicit Regex(std::string_view oniguruma);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  /// All of `text` (valid UTF-8) as matches and gaps in order, appended to `spans`. An empty match
  /// right behind a match does not count, and an empty text has none. Throws Error where matching
  /// takes too many steps.
  void split(std::string_view text, std::vector<Span>& spans) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

}  // namespace moge::text
