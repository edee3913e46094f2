// Which strings of a tree can be read from where a text stands.
#pragma once

#include <algorithm>
#include <concepts>
#include <vector>

#include "moge/grammar/byte_trie.h"
#include "moge/grammar/stacks.h"

namespace moge::grammar {

/// Reads every string of a tree, sharing the work for what they share.
class TrieWalk {
 public:
  /// Beyond `most_work` comparisons of many stacks only single bytes are looked at: an ambiguous
  /// grammar costs its own tokens, not other answers' time.
  TrieWalk(const Automaton& automaton, Stacks& stacks, int64_t most_work = kMostWork)
      : a_(automaton), stacks_(stacks), work_left_(most_work) {}
  static constexpr int64_t kMostWork = 2'000'000;

  /// From settled stacks. `accept(i, end)` hears of all nodes that can be read. `reject(i, end,
  /// depths)` of nodes [i, end) that cannot, where on the way there the unknown caller was returned
  /// to behind these numbers of bytes (at least one); the same strings may come again below others.
  template <std::invocable<int32_t, int32_t> Accept,
            std::invocable<int32_t, int32_t, const std::vector<int32_t>&> Reject>
  void run(const ByteTrie& trie, const std::vector<FrameId>& tops, Accept accept, Reject reject) {
    const size_t mark = stacks_.mark();
    begin(trie, tops);
    for (int32_t i = 0; i < trie.size();) {
      while (levels_.back().end <= i) leave();
      const ByteTrie::Node& node = trie.node(i);
      const bool leaf = node.next == i + 1;
      if (levels_.size() > 1 && work_left_ < 0) {
        i = node.next;
      } else if (!leaf && reads_all_below(trie, i)) {
        accept(i, node.next);
        i = node.next;
      } else if (read(node.byte, leaf)) {
        accept(i, i + 1);
        if (!leaf) enter(node.next);
        ++i;
      } else {
        if (!returns_.empty()) reject(i, node.next, returns_);
        i = node.next;
      }
    }
    stacks_.release(mark);
  }

  /// The most rules within rules that any stack had or needs, counted from the unknown caller.
  int32_t deepest() const { return deepest_; }

 private:
  /// Stacks behind the bytes so far. Most often it is one that returns to nobody known: then its
  /// state is kept, and only a byte that a call may read makes it a set of stacks.
  struct Level {
    int32_t end = 0;     // of the subtree
    int32_t state = -1;  // of the only stack; -1: they are a set in closed_
    FrameId below = kBottom;
    bool returned = false;
    size_t mark = 0;
  };

  bool reads_all_below(const ByteTrie& trie, int32_t i) const {
    const Level& level = levels_.back();
    if (level.state < 0 || !trie.summarized()) return false;
    const ByteTrie::Summary& all = trie.summary(i);
    return a_.reads_all(level.state, all.bytes, all.height);
  }
  void begin(const ByteTrie& trie, const std::vector<FrameId>& tops);
  /// Whether any stack goes on with `byte`; a leaf's stacks are not kept.
  bool read(uint8_t byte, bool leaf) {
    Level& level = levels_.back();
    if (level.state >= 0 && a_.reads_by_call(level.state, byte)) open(level);
    read_mark_ = stacks_.mark();
    read_state_ = -1;
    return level.state >= 0 ? read_alone(level, byte, leaf) : read_set(byte, leaf);
  }
  bool read_alone(const Level& level, uint8_t byte, bool leaf) {
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
  bool read_set(uint8_t byte, bool leaf);
  void enter(int32_t end) {
    levels_.push_back({.end = end, .state = read_state_, .below = read_below_, .mark = read_mark_});
    Level& level = levels_.back();
    if (level.state >= 0) {
      level.returned = level.below == kUnknown && a_.can_end(level.state);
    } else {
      new_set().swap(read_);
      close(level);
    }
    if (level.returned) returns_.push_back(static_cast<int32_t>(levels_.size()) - 1);
  }
  void leave() {
    const Level& level = levels_.back();
    stacks_.release(level.mark);
    if (level.returned) returns_.pop_back();
    if (level.state < 0) --num_sets_;
    levels_.pop_back();
  }
  bool is_alone(int32_t state, FrameId below) const { return below < 0 || !a_.can_end(state); }
  std::vector<FrameId>& new_set();
  std::vector<FrameId>& set() { return closed_[num_sets_ - 1]; }  // of the last level
  void open(Level& level);
  void close(Level& level);
  void count_work(size_t width);
  void note_depth(FrameId below, int32_t state) {
    deepest_ = std::max(deepest_, stacks_.depth(below) + 1 + a_.need(state));
  }

  const Automaton& a_;
  Stacks& stacks_;
  std::vector<Level> levels_;
  std::vector<std::vector<FrameId>> closed_;  // the sets of those levels that have one, in order
  size_t num_sets_ = 0;                       // the others wait to be used again
  std::vector<int32_t> returns_;              // numbers of bytes
  std::vector<FrameId> read_;                 // what the last byte led to, unless it is
  int32_t read_state_ = -1;                   // the state of one plain stack
  FrameId read_below_ = kBottom;
  size_t read_mark_ = 0;
  int32_t deepest_ = 0;
  int64_t work_left_;
};

}  // namespace moge::grammar
