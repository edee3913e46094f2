#include "moge/text/added_tokens.h"

#include <algorithm>

#include "moge/text/unicode.h"
#include "moge/text/utf8.h"

namespace moge::text {

namespace {

size_t start_of_last(std::string_view text) {
  size_t start = text.size() - 1;
  while ((text[start] & 0xC0) == 0x80) --start;
  return start;
}

bool starts_with_word(std::string_view text) {
  return !text.empty() && is_word(decode_utf8(text).value);
}

bool ends_with_word(std::string_view text) {
  return !text.empty() && is_word(decode_utf8(text.substr(start_of_last(text))).value);
}

size_t without_space_at_end(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    const size_t start = start_of_last(text.substr(0, end));
    if (!is_space(decode_utf8(text.substr(start)).value)) break;
    end = start;
  }
  return end;
}

size_t space_at_start(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const CodePoint c = decode_utf8(text.substr(at));
    if (!is_space(c.value)) break;
    at += static_cast<size_t>(c.size);
  }
  return at;
}

}  // namespace

void AddedTokenFinder::add(const AddedToken& token, std::string_view content) {
  if (content.empty()) return;
  starts_[static_cast<unsigned char>(content[0])] = true;
  size_t node = 0;
  for (const char c : content) {
    const auto byte = static_cast<unsigned char>(c);
    auto& next = nodes_[node].next;
    const auto found = std::find_if(next.begin(), next.end(),
                                    [&](const auto& edge) { return edge.first == byte; });
    if (found != next.end()) {
      node = static_cast<size_t>(found->second);
      continue;
    }
    next.emplace_back(byte, static_cast<int32_t>(nodes_.size()));
    node = nodes_.size();
    nodes_.emplace_back();
  }
  if (nodes_[node].token >= 0) return;  // the first of two equal texts counts
  nodes_[node].token = static_cast<int32_t>(tokens_.size());
  tokens_.push_back(token);
}

AddedTokenFinder::Match AddedTokenFinder::find(std::string_view text, size_t from) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    if (!starts_[static_cast<unsigned char>(text[begin])]) continue;
    Match best;
    size_t node = 0;
    for (size_t at = begin; at < text.size(); ++at) {
      const auto byte = static_cast<unsigned char>(text[at]);
      const auto& next = nodes_[node].next;
      const auto edge =
          std::find_if(next.begin(), next.end(), [&](const auto& e) { return e.first == byte; });
      if (edge == next.end()) break;
      node = static_cast<size_t>(edge->second);
      if (nodes_[node].token >= 0) best = {begin, at + 1, &tokens_[nodes_[node].token]};
    }
    if (best.token != nullptr) return best;
  }
  return {};
}

void AddedTokenFinder::split(std::string_view text,
                             const std::function<void(size_t, size_t, int32_t)>& part) const {
  size_t covered = 0;
  for (Match m = find(text, 0); m.token != nullptr; m = find(text, m.end)) {
    size_t begin = m.begin, end = m.end;
    if (m.token->single_word &&
        (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end))))
      continue;
    if (m.token->lstrip) begin = std::max(without_space_at_end(text.substr(0, begin)), covered);
    if (m.token->rstrip) end += space_at_start(text.substr(end));
    if (begin > covered) part(covered, begin, -1);
    part(begin, end, m.token->id);
    covered = std::max(covered, end);
  }
  if (covered < text.size()) part(covered, text.size(), -1);
}

}  // namespace moge::text
