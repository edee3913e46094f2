#include "moge/grammar/trie_walk.h"

#include <algorithm>
#include <utility>

namespace moge::grammar {

void TrieWalk::begin(const ByteTrie& trie, const std::vector<FrameId>& tops) {
  levels_.clear();
  returns_.clear();
  Level first{.end = trie.size() + 1, .mark = stacks_.mark()};
  if (tops.size() == 1 && is_alone(stacks_.state(tops[0]), stacks_.below(tops[0]))) {
    first.state = stacks_.state(tops[0]);
    first.below = stacks_.below(tops[0]);
    note_depth(first.below, first.state);
  } else {
    first.closed = tops;
    close(first);
    first.returned = false;  // settled stacks have returned already
  }
  levels_.push_back(std::move(first));
}

void TrieWalk::close(Level& level) {
  level.returned = stacks_.close(level.closed).unknown;
  count_work(level.closed.size());
  for (const FrameId f : level.closed) note_depth(stacks_.below(f), stacks_.state(f));
}

/// Few stacks are free: the tree bounds them.
void TrieWalk::count_work(size_t width) {
  if (width > 4) work_left_ -= static_cast<int64_t>(width * width);
}

/// From one stack alone to the set of what it can become.
void TrieWalk::open(Level& level) {
  const bool returned = level.returned;
  level.closed.assign(1, stacks_.push(level.state, level.below));
  level.state = -1;
  close(level);
  level.returned = returned;  // whoever has to know has heard of it
}

void TrieWalk::note_depth(FrameId below, int32_t state) {
  deepest_ = std::max(deepest_, stacks_.depth(below) + 1 + a_.need(state));
}

/// Whether any stack goes on with `byte`; a leaf's stacks are not kept.
bool TrieWalk::read(uint8_t byte, bool leaf) {
  Level& level = levels_.back();
  if (level.state >= 0 && a_.reads_by_call(level.state, byte)) open(level);
  read_mark_ = stacks_.mark();
  read_state_ = -1;
  if (level.state >= 0) {
    const int32_t target = a_.next(level.state, byte);
    if (target < 0 || !stacks_.fits(target, level.below)) return false;
    note_depth(level.below, target);
    if (leaf) return true;
    if (is_alone(target, level.below)) {
      read_state_ = target;
      read_below_ = level.below;
    } else {
      read_.assign(1, stacks_.push(target, level.below));
    }
    return true;
  }
  count_work(level.closed.size());
  stacks_.read(level.closed, byte, read_);
  if (read_.empty()) return false;
  for (const FrameId f : read_) note_depth(stacks_.below(f), stacks_.state(f));
  if (!leaf && read_.size() == 1 && is_alone(stacks_.state(read_[0]), stacks_.below(read_[0]))) {
    read_state_ = stacks_.state(read_[0]);
    read_below_ = stacks_.below(read_[0]);
  }
  if (leaf || read_state_ >= 0) stacks_.release(read_mark_);
  return true;
}

void TrieWalk::enter(int32_t end) {
  if (!spare_.empty()) {
    levels_.push_back(std::move(spare_.back()));
    spare_.pop_back();
  } else {
    levels_.emplace_back();
  }
  Level& level = levels_.back();
  level.end = end;
  level.mark = read_mark_;
  level.state = read_state_;
  level.below = read_below_;
  if (level.state >= 0) {
    level.returned = level.below == kUnknown && a_.can_end(level.state);
  } else {
    level.closed.swap(read_);
    close(level);
  }
  if (level.returned) returns_.push_back(static_cast<int32_t>(levels_.size()) - 1);
}

void TrieWalk::leave() {
  Level& level = levels_.back();
  stacks_.release(level.mark);
  if (level.returned) returns_.pop_back();
  spare_.push_back(std::move(level));
  levels_.pop_back();
}

}  // namespace moge::grammar
