// Strings with ids as a tree of bytes, laid out in the order of a walk: a node's children begin
// right behind it, and `next` is where the walk goes on that leaves them out.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "moge/grammar/byte_classes.h"

namespace moge::grammar {

class ByteTrie {
 public:
  struct Node {
    uint8_t byte = 0;
    int32_t next = 0;      ///< behind the subtree
    int32_t first_id = 0;  ///< ids of the strings that end here: up to the next node's
  };

  ByteTrie() = default;
  /// Strings may be equal; empty ones are left out. Sorts `entries`.
  explicit ByteTrie(std::vector<std::pair<std::string_view, int32_t>> entries);

  int32_t size() const { return static_cast<int32_t>(nodes_.size()) - 1; }  ///< of nodes
  const Node& node(int32_t i) const { return nodes_[static_cast<size_t>(i)]; }
  /// Looks at the nodes below each, for those who want to pass whole subtrees.
  void summarize();
  bool summarized() const { return !summaries_.empty(); }
  struct Summary {
    ByteClasses bytes = 0;  ///< of a node and all below it
    int32_t height = 0;     ///< of the longest way through them, in bytes
  };
  const Summary& summary(int32_t i) const { return summaries_[static_cast<size_t>(i)]; }
  /// Of the strings that end at nodes [i, end).
  std::span<const int32_t> ids_between(int32_t i, int32_t end) const {
    return std::span(ids_).subspan(static_cast<size_t>(node(i).first_id),
                                   static_cast<size_t>(node(end).first_id - node(i).first_id));
  }

 private:
  std::vector<Node> nodes_{Node{}};  // one more than there are
  std::vector<int32_t> ids_;
  std::vector<Summary> summaries_;
};

}  // namespace moge::grammar
