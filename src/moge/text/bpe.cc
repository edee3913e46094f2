#include "moge/text/bpe.h"

#include <algorithm>
#include <queue>

#include "moge/core/error.h"
#include "moge/text/utf8.h"

namespace moge::text {

namespace {

constexpr char32_t kLowCharacters = 2048;
constexpr size_t kShortWord = 48;  // symbols up to which scanning beats a heap
constexpr size_t kCutBytes = 32;   // words up to this long are not searched for cuts

uint64_t pair_key(uint64_t left, uint64_t right) { return (left << 32) | right; }
int32_t id_part(uint64_t merge) { return static_cast<int32_t>(merge & 0xFFFFFFFF); }

std::string byte_token(int byte) { return fmt::format("<0x{:02X}>", byte); }

/// The character, if the token is exactly one.
std::optional<char32_t> single_character(std::string_view token) {
  if (token.empty()) return {};
  const CodePoint c = decode_utf8(token);
  if (static_cast<size_t>(c.size) != token.size()) return {};
  return c.value;
}

}  // namespace

Bpe::Bpe(std::vector<std::string> tokens, const std::vector<Merge>& merges, BpeOptions options)
    : tokens_(std::move(tokens)),
      low_characters_(kLowCharacters, -1),
      merges_(merges.size()),
      options_(std::move(options)) {
  ids_.reserve(tokens_.size());
  for (size_t i = 0; i < tokens_.size(); ++i) {
    if (tokens_[i].empty()) continue;
    const auto id = static_cast<int32_t>(i);
    ids_.emplace(tokens_[i], id);
    const auto c = single_character(tokens_[i]);
    if (!c) continue;
    if (*c < kLowCharacters)
      low_characters_[*c] = id;
    else
      characters_.set(*c, static_cast<uint64_t>(id));
  }
  for (int b = 0; b < 256; ++b) bytes_[b] = find(byte_token(b)).value_or(-1);
  if (!options_.unk_token.empty()) {
    const auto id = find(options_.unk_token);
    check(id.has_value(), "unk_token '{}' is not in the vocabulary of {} tokens",
          options_.unk_token, ids_.size());
    unk_ = *id;
  }
  add_merges(merges);
  find_cuts(merges);
}

void Bpe::add_merges(const std::vector<Merge>& merges) {
  const auto id = [&](size_t rank, const std::string& token) {
    const auto found = find(token);
    check(found.has_value(), "merge {} needs the token '{}', which the vocabulary lacks", rank,
          token);
    return static_cast<uint64_t>(*found);
  };
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    const uint64_t left_id = id(rank, left), right_id = id(rank, right);
    merges_.set(pair_key(left_id, right_id), pair_key(rank, id(rank, left + right)));
  }
}

/// A merge never joins two characters that stand side by side in no merged token, so a long text is
/// cut there and its parts are merged on their own. Byte and unknown tokens stand for characters
/// that are not their own; where a merge uses one, nothing is cut.
void Bpe::find_cuts(const std::vector<Merge>& merges) {
  cuts_ = true;
  for (const auto& [left, right] : merges) {
    const std::string token = left + right;
    if (token.find("<0x") != std::string::npos) cuts_ = cuts_ && !options_.byte_fallback;
    if (unk_ >= 0 && token.find(options_.unk_token) != std::string::npos) cuts_ = false;
    char32_t previous = 0;
    for (size_t at = 0; at < token.size();) {
      const CodePoint c = decode_utf8(std::string_view(token).substr(at));
      if (at > 0) joins_.set(pair_key(previous, c.value), 0);
      previous = c.value;
      at += static_cast<size_t>(c.size);
    }
  }
}

std::optional<int32_t> Bpe::find(std::string_view token) const {
  const auto found = ids_.find(token);
  if (found == ids_.end()) return {};
  return found->second;
}

int32_t Bpe::id_of(char32_t c) const {
  if (c < kLowCharacters) return low_characters_[c];
  const uint64_t id = characters_.find(c);
  return id == FlatMap::kNone ? -1 : static_cast<int32_t>(id);
}

uint64_t Bpe::merge_of(int32_t left, int32_t right) const {
  return merges_.find(pair_key(static_cast<uint32_t>(left), static_cast<uint32_t>(right)));
}

/// Two unknown characters belong together too: they may fuse.
bool Bpe::may_join(char32_t left, char32_t right) const {
  if (joins_.find(pair_key(left, right)) != FlatMap::kNone) return true;
  return id_of(left) < 0 && id_of(right) < 0;
}

void Bpe::encode(std::string_view word, std::vector<int32_t>& ids) const {
  if (word.empty()) return;
  if (options_.ignore_merges)
    if (const auto id = find(word)) return ids.push_back(*id);
  if (!cuts_ || word.size() <= kCutBytes) return encode_uncut(word, ids);
  size_t begin = 0;
  char32_t previous = 0;
  for (size_t at = 0; at < word.size();) {
    const CodePoint c = decode_utf8(word.substr(at));
    if (at > 0 && !may_join(previous, c.value)) {
      encode_uncut(word.substr(begin, at - begin), ids);
      begin = at;
    }
    previous = c.value;
    at += static_cast<size_t>(c.size);
  }
  encode_uncut(word.substr(begin), ids);
}

void Bpe::encode_uncut(std::string_view word, std::vector<int32_t>& ids) const {
  const size_t before = ids.size();
  spell(word, ids);
  const size_t n = ids.size() - before;
  int32_t* symbols = ids.data() + before;
  ids.resize(before + (n <= kShortWord ? merge_short(symbols, n) : merge_long(symbols, n)));
}

/// One symbol for each character. An unknown one waits, so that those behind it can fuse with it;
/// byte tokens overtake it, as in the reference.
void Bpe::spell(std::string_view word, std::vector<int32_t>& ids) const {
  bool waiting = false;
  for (size_t at = 0; at < word.size();) {
    const CodePoint c = decode_utf8(word.substr(at));
    const std::string_view character = word.substr(at, static_cast<size_t>(c.size));
    at += character.size();
    const int32_t id = id_of(c.value);
    if (id >= 0) {
      if (waiting) ids.push_back(unk_);
      waiting = false;
      ids.push_back(id);
    } else if (!spell_as_bytes(character, ids) && unk_ >= 0) {
      if (waiting && !options_.fuse_unk) ids.push_back(unk_);
      waiting = true;
    }
  }
  if (waiting) ids.push_back(unk_);
}

bool Bpe::spell_as_bytes(std::string_view character, std::vector<int32_t>& ids) const {
  if (!options_.byte_fallback) return false;
  for (const char b : character)
    if (bytes_[static_cast<unsigned char>(b)] < 0) return false;
  for (const char b : character) ids.push_back(bytes_[static_cast<unsigned char>(b)]);
  return true;
}

/// Quadratic, but without any bookkeeping: for words.
size_t Bpe::merge_short(int32_t* ids, size_t n) const {
  uint64_t merge[kShortWord];  // merge[i] joins symbols i and i + 1
  for (size_t i = 0; i + 1 < n; ++i) merge[i] = merge_of(ids[i], ids[i + 1]);
  while (n > 1) {
    const size_t i = static_cast<size_t>(std::min_element(merge, merge + n - 1) - merge);
    if (merge[i] == FlatMap::kNone) break;
    ids[i] = id_part(merge[i]);
    std::copy(ids + i + 2, ids + n, ids + i + 1);
    std::copy(merge + i + 1, merge + n - 1, merge + i);
    --n;
    if (i > 0) merge[i - 1] = merge_of(ids[i - 1], ids[i]);
    if (i + 1 < n) merge[i] = merge_of(ids[i], ids[i + 1]);
  }
  return n;
}

/// Linked symbols and a heap of possible merges: n log n for a text of one long word.
size_t Bpe::merge_long(int32_t* ids, size_t n) const {
  struct Symbol {
    int32_t id, previous, next;
  };
  struct Candidate {
    uint64_t merge;
    int32_t at;
    bool operator<(const Candidate& o) const {  // std::priority_queue gives the largest
      return merge != o.merge ? merge > o.merge : at > o.at;
    }
  };
  check(n < (size_t{1} << 31), "[tokenizer] a word of {} characters is too long", n);
  const auto count = static_cast<int32_t>(n);
  std::vector<Symbol> symbols(n);
  for (int32_t i = 0; i < count; ++i) symbols[i] = {ids[i], i - 1, i + 1 < count ? i + 1 : -1};
  std::priority_queue<Candidate> queue;
  const auto offer = [&](int32_t at) {
    if (at < 0 || symbols[at].next < 0) return;
    const uint64_t merge = merge_of(symbols[at].id, symbols[symbols[at].next].id);
    if (merge != FlatMap::kNone) queue.push({merge, at});
  };
  for (int32_t i = 0; i + 1 < count; ++i) offer(i);
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    Symbol& left = symbols[top.at];
    if (left.id < 0 || left.next < 0) continue;
    Symbol& right = symbols[left.next];
    if (merge_of(left.id, right.id) != top.merge) continue;  // one of the two has changed since
    left.id = id_part(top.merge);
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[left.next].previous = top.at;
    offer(left.previous);
    offer(top.at);
  }
  size_t kept = 0;
  for (int32_t i = 0; i >= 0; i = symbols[i].next) ids[kept++] = symbols[i].id;
  return kept;
}

}  // namespace moge::text
