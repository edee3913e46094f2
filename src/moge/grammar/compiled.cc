#include "moge/grammar/compiled.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "moge/grammar/automaton.h"
#include "moge/grammar/masks.h"
#include "moge/grammar/stacks.h"
#include "moge/grammar/trie_walk.h"

namespace moge::grammar {

namespace {
constexpr int32_t kMaxFrames = kMaxDepth + 1;  // the root's frame is one more
constexpr size_t kManyStacks = 24;    // then they are walked together, not each by its mask
constexpr size_t kManyFrames = 4096;  // then those that are no longer used are dropped
}  // namespace

struct CompiledGrammar::Parts {
  Parts(const Grammar& grammar, std::shared_ptr<const Vocabulary> vocabulary_in, Budget& budget)
      : automaton(grammar, budget),
        vocabulary(std::move(vocabulary_in)),
        masks(automaton, *vocabulary, budget) {}

  Automaton automaton;
  std::shared_ptr<const Vocabulary> vocabulary;
  mutable StateMasks masks;
  mutable std::once_flag first_once;
  mutable std::vector<uint32_t> first_mask;  // of every answer's first token
};

CompiledGrammar::CompiledGrammar(const Grammar& grammar,
                                 std::shared_ptr<const Vocabulary> vocabulary, Budget& budget)
    : parts_(std::make_unique<Parts>(grammar, std::move(vocabulary), budget)) {}
CompiledGrammar::~CompiledGrammar() = default;

int64_t CompiledGrammar::num_states() const { return parts_->automaton.num_states(); }

namespace {

/// Where an answer stands.
class Place {
 public:
  explicit Place(const Automaton& automaton)
      : automaton_(&automaton), stacks_(automaton, kMaxFrames) {
    tops_ = {stacks_.push(automaton.root(), kBottom)};
    can_end_ = stacks_.settle(tops_).bottom;
  }

  bool can_end() const { return can_end_; }
  bool can_go_on() const { return !tops_.empty(); }
  const std::vector<FrameId>& tops() const { return tops_; }
  Stacks& stacks() { return stacks_; }

  /// False if the text cannot go on like that; then the place is no longer of use.
  bool read(std::string_view text) {
    for (const char c : text) {
      closed_ = tops_;
      stacks_.close(closed_);
      stacks_.read(closed_, static_cast<uint8_t>(c), tops_);
      if (tops_.empty()) return false;
    }
    can_end_ = stacks_.settle(tops_).bottom;
    return true;
  }

  void drop_unused_frames() {
    if (stacks_.mark() > kManyFrames) stacks_.keep_only(tops_);
  }

  /// Sets the bits of the tokens that can come next.
  void allow(const Vocabulary& vocabulary, StateMasks& masks, std::span<uint32_t> bits) {
    if (tops_.size() > kManyStacks) return walk(vocabulary.tokens(), tops_, bits);
    for (const FrameId top : tops_) {
      const auto mask = masks.of(stacks_.state(top));
      const FrameId below = stacks_.below(top);
      if (mask->too_many || stacks_.depth(below) + mask->depth > kMaxFrames) {
        walk(vocabulary.tokens(), {top}, bits);
        continue;
      }
      for (const int32_t id : mask->few) set_bit(bits, id);
      for (size_t i = 0; i < mask->many.size(); ++i) bits[i] |= mask->many[i];
      if (below >= 0 && mask->rest.size() > 0) walk(mask->rest, settled(below), bits);
    }
  }

  /// Sets the bits of what can be read from settled stacks.
  void walk(const ByteTrie& trie, const std::vector<FrameId>& tops, std::span<uint32_t> bits) {
    const int64_t work = TrieWalk::kMostWork / static_cast<int64_t>(tops_.size());
    TrieWalk(*automaton_, stacks_, work)
        .run(
            trie, tops,
            [&](int32_t i, int32_t end) {
              for (const int32_t id : trie.ids_between(i, end)) set_bit(bits, id);
            },
            [](int32_t, int32_t, const std::vector<int32_t>&) {});
  }

  /// What tells places of one answer apart, as long as no frames are dropped.
  struct Mark {
    std::vector<std::pair<int32_t, FrameId>> tops;
    bool can_end = false;
    bool operator==(const Mark&) const = default;
  };
  void describe(Mark& out) const {
    out.tops.clear();
    for (const FrameId top : tops_) out.tops.emplace_back(stacks_.state(top), stacks_.below(top));
    out.can_end = can_end_;
  }

 private:
  std::vector<FrameId> settled(FrameId top) {
    std::vector<FrameId> tops{top};
    stacks_.settle(tops);
    return tops;
  }

  const Automaton* automaton_;
  Stacks stacks_;
  std::vector<FrameId> tops_, closed_;
  bool can_end_ = false;
};

const std::vector<uint32_t>& find_first_mask(const CompiledGrammar::Parts& parts) {
  std::call_once(parts.first_once, [&] {
    parts.first_mask.assign(TokenConstraint::mask_words(parts.vocabulary->size()), 0);
    Place place(parts.automaton);
    if (place.can_go_on())
      place.walk(parts.vocabulary->first_tokens(), place.tops(), parts.first_mask);
  });
  return parts.first_mask;
}

class Answer final : public TokenConstraint {
 public:
  explicit Answer(std::shared_ptr<const CompiledGrammar> grammar)
      : grammar_(std::move(grammar)), place_(parts().automaton) {}

  void allow(std::span<uint32_t> bitmask) override {
    if (mask_.empty()) find_mask();
    std::copy(mask_.begin(), mask_.end(), bitmask.begin());
    std::fill(bitmask.begin() + static_cast<ptrdiff_t>(mask_.size()), bitmask.end(), 0u);
  }

  void advance(int32_t token) override {
    const Vocabulary& vocabulary = *parts().vocabulary;
    if (vocabulary.ends(token)) {
      ended_ = true;
      return;
    }
    check(token >= 0 && token < vocabulary.size(), "token {} is not in the vocabulary", token);
    place_.describe(before_);
    const std::string& text = vocabulary.text(token, first_);
    check(!text.empty() && place_.read(text), "token {} is not what the output's grammar allows",
          token);
    place_.describe(after_);
    if (first_ || !(before_ == after_)) mask_.clear();
    first_ = false;
    place_.drop_unused_frames();
  }

  bool finished() const override { return ended_ || !place_.can_go_on(); }

  std::shared_ptr<TokenConstraint> clone() const override {
    return std::make_shared<Answer>(*this);
  }

 private:
  const CompiledGrammar::Parts& parts() const { return grammar_->parts(); }

  void find_mask() {
    const CompiledGrammar::Parts& p = parts();
    if (first_) {
      mask_ = find_first_mask(p);
    } else {
      mask_.assign(mask_words(p.vocabulary->size()), 0);
      place_.allow(*p.vocabulary, p.masks, mask_);
    }
    if (place_.can_end())
      for (const int32_t id : p.vocabulary->end_ids()) set_bit(mask_, id);
  }

  std::shared_ptr<const CompiledGrammar> grammar_;  // shared: answers outlive the cache of grammars
  Place place_;
  bool first_ = true, ended_ = false;
  std::vector<uint32_t> mask_;  // of the place; empty: not found yet
  Place::Mark before_, after_;
};

}  // namespace

void CompiledGrammar::prepare(double ms) const {
  find_first_mask(*parts_);
  parts_->masks.prepare(ms);
}

std::shared_ptr<TokenConstraint> start_answer(std::shared_ptr<const CompiledGrammar> grammar) {
  return std::make_shared<Answer>(std::move(grammar));
}

bool matches(const CompiledGrammar& grammar, std::string_view text) {
  Place place(grammar.parts().automaton);
  return (text.empty() || place.read(text)) && place.can_end();
}

}  // namespace moge::grammar
