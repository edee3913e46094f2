#include "moge/grammar/vocabulary.h"

#include <algorithm>
#include <utility>

namespace moge::grammar {

namespace {

ByteTrie trie_of(const std::vector<std::string>& texts) {
  std::vector<std::pair<std::string_view, int32_t>> entries;
  for (size_t id = 0; id < texts.size(); ++id)
    entries.emplace_back(texts[id], static_cast<int32_t>(id));
  ByteTrie trie(std::move(entries));
  trie.summarize();
  return trie;
}

}  // namespace

Vocabulary::Vocabulary(std::vector<std::string> texts, std::vector<std::string> first_texts,
                       std::vector<int32_t> end_ids)
    : texts_(std::move(texts)), first_texts_(std::move(first_texts)), end_ids_(std::move(end_ids)) {
  for (const int32_t id : end_ids_) {  // an end token's bytes are never part of a text
    if (id < 0 || id >= size()) continue;
    texts_[static_cast<size_t>(id)].clear();
    if (!first_texts_.empty()) first_texts_[static_cast<size_t>(id)].clear();
  }
  std::erase_if(end_ids_, [&](int32_t id) { return id < 0 || id >= size(); });
  for (auto* list : {&texts_, &first_texts_})
    for (std::string& text : *list)
      if (text.size() > kMaxTokenBytes) text.clear();
  tokens_ = trie_of(texts_);
  if (!first_texts_.empty()) first_tokens_ = trie_of(first_texts_);
}

bool Vocabulary::ends(int32_t id) const {
  return std::find(end_ids_.begin(), end_ids_.end(), id) != end_ids_.end();
}

std::unique_ptr<const Vocabulary> make_vocabulary(const Tokenizer& tokenizer, int64_t vocab_size,
                                                  std::vector<int32_t> end_ids,
                                                  const std::vector<int32_t>& shown) {
  std::vector<std::string> texts(static_cast<size_t>(vocab_size)), first_texts(texts.size());
  const int64_t known = std::min(vocab_size, tokenizer.vocab_size());
  for (int32_t id = 0; id < known; ++id) {
    const bool is_shown = std::find(shown.begin(), shown.end(), id) != shown.end();
    if (tokenizer.is_special(id) && !is_shown) continue;
    texts[static_cast<size_t>(id)] = tokenizer.token_bytes(id, /*first=*/false);
    first_texts[static_cast<size_t>(id)] = tokenizer.token_bytes(id, /*first=*/true);
  }
  if (first_texts == texts) first_texts.clear();
  return std::make_unique<const Vocabulary>(std::move(texts), std::move(first_texts),
                                            std::move(end_ids));
}

}  // namespace moge::grammar
