// Added tokens: texts that always stand for one id and are found before the model sees anything.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace moge::text {

struct AddedToken {
  std::string content;
  int32_t id = -1;
  bool special = false;      ///< left out by decode(..., skip_special)
  bool single_word = false;  ///< only where no word character touches it
  bool lstrip = false;       ///< takes the white space before it
  bool rstrip = false;       ///< takes the white space behind it
  bool normalized = false;   ///< looked for in the normalized text
};

/// Finds the added tokens of one kind in a text: leftmost, and the longest that starts there.
class AddedTokenFinder {
 public:
  /// `content` may differ from the token's own where it has been normalized.
  void add(const AddedToken& token, std::string_view content);
  bool empty() const { return tokens_.empty(); }

  /// Cuts `text`: calls part(begin, end, id) in order, id -1 for what lies between the tokens.
  void split(std::string_view text,
             const std::function<void(size_t begin, size_t end, int32_t id)>& part) const;

 private:
  struct Node {
    std::vector<std::pair<unsigned char, int32_t>> next;
    int32_t token = -1;
  };
  struct Match {
    size_t begin = 0, end = 0;
    const AddedToken* token = nullptr;
  };
  Match find(std::string_view text, size_t from) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_ = std::vector<Node>(1);  // a trie; 0 is the root
  bool starts_[256] = {};
};

}  // namespace moge::text
