// Stop strings in a stream of text: lets through what cannot belong to one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moge::infer {

class StopFilter {
 public:
  explicit StopFilter(std::vector<std::string> stops);  ///< empty strings are refused

  /// The part of the text so far that may be shown; the rest waits. After a stop string is complete
  /// nothing from it on is ever returned.
  std::string push(std::string_view text);
  /// What was held back, at the end of the text.
  std::string flush();
  /// The stop string that was met, or empty.
  const std::string& met() const { return met_; }

 private:
  size_t first_match(size_t& length) const;
  size_t held_back() const;

  std::vector<std::string> stops_;
  std::string pending_, met_;
};

}  // namespace moge::infer
