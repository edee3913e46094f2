#include "moge/text/bpe_trainer.h"

#include <algorithm>
#include <queue>

#include "moge/core/error.h"
#include "moge/text/added_tokens.h"
#include "moge/text/regex.h"
#include "moge/text/utf8.h"

namespace moge::text {

namespace {

constexpr size_t kMaxWordBytes = 256;

using Pair = std::pair<int32_t, int32_t>;

uint64_t key_of(Pair p) {
  return (static_cast<uint64_t>(p.first) << 32) | static_cast<uint32_t>(p.second);
}

struct Word {
  std::vector<int32_t> tokens;
  int64_t count = 0;
};

/// How often a pair stands in all words, and in which it may stand.
struct PairCount {
  int64_t count = 0;
  std::vector<int32_t> words;
};

/// Most frequent first; among equals the pair with the smaller ids.
struct Candidate {
  int64_t count;
  Pair pair;
  bool operator<(const Candidate& o) const {
    return count != o.count ? count < o.count : pair > o.pair;
  }
};

class Merging {
 public:
  Merging(std::vector<Word> words, ByteLevelVocabulary& v) : words_(std::move(words)), v_(v) {
    for (size_t id = 0; id < v.tokens.size(); ++id) ids_[v.tokens[id]] = static_cast<int32_t>(id);
    for (size_t w = 0; w < words_.size(); ++w) {
      const auto& tokens = words_[w].tokens;
      for (size_t i = 0; i + 1 < tokens.size(); ++i)
        change({tokens[i], tokens[i + 1]}, words_[w].count, static_cast<int32_t>(w));
    }
    offer_changed();
  }

  void run(size_t num_tokens, int64_t min_count) {
    while (v_.tokens.size() < num_tokens && !queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      PairCount& pair = pairs_[key_of(top.pair)];
      if (pair.count != top.count) continue;  // a later entry tells the present count
      if (top.count < min_count) break;
      merge(top.pair, std::move(pair.words));
      offer_changed();
    }
  }

 private:
  void change(Pair pair, int64_t by, int32_t word) {
    PairCount& p = pairs_[key_of(pair)];
    p.count += by;
    if (by > 0 && (p.words.empty() || p.words.back() != word)) p.words.push_back(word);
    changed_.push_back(pair);
  }

  void offer_changed() {
    std::sort(changed_.begin(), changed_.end());
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    for (const Pair& pair : changed_) {
      const int64_t count = pairs_[key_of(pair)].count;
      if (count > 0) queue_.push({count, pair});
    }
    changed_.clear();
  }

  int32_t token_of(Pair pair) {
    const std::string& left = v_.tokens[static_cast<size_t>(pair.first)];
    const std::string& right = v_.tokens[static_cast<size_t>(pair.second)];
    const std::string text = left + right;
    v_.merges.emplace_back(left, right);
    const auto [found, is_new] = ids_.emplace(text, static_cast<int32_t>(v_.tokens.size()));
    if (is_new) v_.tokens.push_back(text);
    return found->second;
  }

  void merge(Pair pair, std::vector<int32_t> words) {
    const int32_t id = token_of(pair);
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    for (const int32_t w : words) merge_in(w, pair, id);
    pairs_[key_of(pair)] = {};
  }

  /// Joins every occurrence of the pair in one word, from the left.
  void merge_in(int32_t w, Pair pair, int32_t id) {
    auto& tokens = words_[static_cast<size_t>(w)].tokens;
    const int64_t count = words_[static_cast<size_t>(w)].count;
    size_t kept = 0;
    for (size_t i = 0; i < tokens.size(); ++i) {
      const bool found =
          i + 1 < tokens.size() && tokens[i] == pair.first && tokens[i + 1] == pair.second;
      if (!found) {
        tokens[kept++] = tokens[i];
        continue;
      }
      if (kept > 0) {
        change({tokens[kept - 1], pair.first}, -count, w);
        change({tokens[kept - 1], id}, count, w);
      }
      if (i + 2 < tokens.size()) {
        change({pair.second, tokens[i + 2]}, -count, w);
        change({id, tokens[i + 2]}, count, w);
      }
      tokens[kept++] = id;
      ++i;
    }
    tokens.resize(kept);
  }

  std::vector<Word> words_;
  ByteLevelVocabulary& v_;
  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<uint64_t, PairCount> pairs_;
  std::priority_queue<Candidate> queue_;
  std::vector<Pair> changed_;
};

}  // namespace

struct BpeTrainer::Words {
  explicit Words(const BpeTrainOptions& options) : regex(options.expression) {
    for (const std::string& content : options.special_tokens)
      special.add({.content = content, .id = 0, .special = true}, content);
  }
  Regex regex;
  AddedTokenFinder special;
  std::unordered_map<std::string, int64_t> counts;
};

BpeTrainer::BpeTrainer(BpeTrainOptions options) : options_(std::move(options)) {
  const auto needed = static_cast<int64_t>(256 + options_.special_tokens.size());
  check(options_.vocab_size >= needed,
        "[tokenizer] a vocabulary of {} is too small: 256 bytes and {} special tokens need {}",
        options_.vocab_size, options_.special_tokens.size(), needed);
  words_ = std::make_unique<Words>(options_);
}

BpeTrainer::~BpeTrainer() = default;

void BpeTrainer::add(std::string_view text) {
  const std::string clean = replace_invalid_utf8(text);
  std::vector<Span> spans;
  words_->special.split(clean, [&](size_t begin, size_t end, int32_t id) {
    if (id >= 0) return;
    const std::string_view part = std::string_view(clean).substr(begin, end - begin);
    spans.clear();
    words_->regex.split(part, spans);
    for (const Span& s : spans)
      if (s.end - s.begin <= kMaxWordBytes)
        ++words_->counts[std::string(part.substr(s.begin, s.end - s.begin))];
  });
}

ByteLevelVocabulary BpeTrainer::train() const {
  ByteLevelVocabulary v;
  v.tokens = byte_tokens();
  v.special_tokens = options_.special_tokens;
  v.expression = options_.expression;
  v.bos = options_.bos;
  v.eos = options_.eos;
  v.pad = options_.pad;
  v.chat_template = options_.chat_template;
  int32_t id_of_byte[256];
  for (int id = 0; id < 256; ++id) id_of_byte[static_cast<unsigned char>(v.tokens[id][0])] = id;
  std::vector<Word> words;
  for (const auto& [text, count] : words_->counts) {
    Word word{.tokens = {}, .count = count};
    for (const char c : text) word.tokens.push_back(id_of_byte[static_cast<unsigned char>(c)]);
    words.push_back(std::move(word));
  }
  std::sort(words.begin(), words.end(),
            [](const Word& a, const Word& b) { return a.tokens < b.tokens; });
  Merging(std::move(words), v)
      .run(static_cast<size_t>(options_.vocab_size) - v.special_tokens.size(), options_.min_count);
  return v;
}

TokenizerFiles train_bpe(std::span<const std::string> texts, const BpeTrainOptions& options) {
  BpeTrainer trainer(options);
  for (const std::string& text : texts) trainer.add(text);
  return tokenizer_files(trainer.train());
}

}  // namespace moge::text
