#include "moge/grammar/byte_trie.h"

#include <algorithm>

namespace moge::grammar {

ByteTrie::ByteTrie(std::vector<std::pair<std::string_view, int32_t>> entries) {
  std::sort(entries.begin(), entries.end());
  nodes_.clear();
  std::vector<int32_t> path;  // nodes of the last string
  std::string_view last;
  const auto close = [&](size_t depth) {
    for (; path.size() > depth; path.pop_back())
      nodes_[static_cast<size_t>(path.back())].next = static_cast<int32_t>(nodes_.size());
  };
  for (const auto& [text, id] : entries) {
    if (text.empty()) continue;
    const auto differ = std::mismatch(text.begin(), text.end(), last.begin(), last.end());
    const auto shared = static_cast<size_t>(differ.first - text.begin());
    close(shared);
    for (size_t i = shared; i < text.size(); ++i) {
      path.push_back(static_cast<int32_t>(nodes_.size()));
      nodes_.push_back(
          {.byte = static_cast<uint8_t>(text[i]), .first_id = static_cast<int32_t>(ids_.size())});
    }
    ids_.push_back(id);
    last = text;
  }
  close(0);
  nodes_.push_back({.first_id = static_cast<int32_t>(ids_.size())});
}

void ByteTrie::summarize() {
  summaries_.resize(static_cast<size_t>(size()));
  for (int32_t i = size() - 1; i >= 0; --i) {
    Summary all{.bytes = class_of(node(i).byte)};
    for (int32_t child = i + 1; child < node(i).next; child = node(child).next) {
      all.bytes |= summary(child).bytes;
      all.height = std::max(all.height, summary(child).height);
    }
    ++all.height;
    summaries_[static_cast<size_t>(i)] = all;
  }
}

}  // namespace moge::grammar
