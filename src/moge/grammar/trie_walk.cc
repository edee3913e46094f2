#include "moge/grammar/trie_walk.h"

namespace moge::grammar {

void TrieWalk::begin(const ByteTrie& trie, const std::vector<FrameId>& tops) {
  levels_.clear();
  returns_.clear();
  num_sets_ = 0;
  levels_.push_back({.end = trie.size() + 1, .mark = stacks_.mark()});
  Level& first = levels_.back();
  if (tops.size() == 1 && is_alone(stacks_.state(tops[0]), stacks_.below(tops[0]))) {
    first.state = stacks_.state(tops[0]);
    first.below = stacks_.below(tops[0]);
    note_depth(first.below, first.state);
  } else {
    new_set() = tops;
    close(first);
    first.returned = false;  // settled stacks have returned already
  }
}

std::vector<FrameId>& TrieWalk::new_set() {
  if (num_sets_ == closed_.size()) closed_.emplace_back();
  return closed_[num_sets_++];
}

void TrieWalk::close(Level& level) {
  level.returned = stacks_.close(set()).unknown;
  count_work(set().size());
  for (const FrameId f : set()) note_depth(stacks_.below(f), stacks_.state(f));
}

/// Few stacks are free: the tree bounds them.
void TrieWalk::count_work(size_t width) {
  if (width > 4) work_left_ -= static_cast<int64_t>(width * width);
}

/// From one stack alone to the set of what it can become.
void TrieWalk::open(Level& level) {
  const bool returned = level.returned;
  new_set().assign(1, stacks_.push(level.state, level.below));
  level.state = -1;
  close(level);
  level.returned = returned;  // whoever has to know has heard of it
}

bool TrieWalk::read_set(uint8_t byte, bool leaf) {
  count_work(set().size());
  stacks_.read(set(), byte, read_);
  if (read_.empty()) return false;
  for (const FrameId f : read_) note_depth(stacks_.below(f), stacks_.state(f));
  if (!leaf && read_.size() == 1 && is_alone(stacks_.state(read_[0]), stacks_.below(read_[0]))) {
    read_state_ = stacks_.state(read_[0]);
    read_below_ = stacks_.below(read_[0]);
  }
  if (leaf || read_state_ >= 0) stacks_.release(read_mark_);
  return true;
}

}  // namespace moge::grammar
