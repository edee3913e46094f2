// Which strings of a tree can be read from where a text stands.
#pragma once

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

  /// From settled stacks. `accept(i)` hears of every node that can be read. `reject(i, end,
  /// depths)` of nodes [i, end) that cannot, where on the way there the unknown caller was returned
  /// to behind these numbers of bytes (at least one); the same strings may come again below others.
  template <std::invocable<int32_t> Accept,
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
      } else if (read(node.byte, leaf)) {
        accept(i);
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
    int32_t state = -1;  // of the only stack; -1: they are in `closed`
    FrameId below = kBottom;
    std::vector<FrameId> closed;
    size_t mark = 0;
    bool returned = false;
  };

  void begin(const ByteTrie& trie, const std::vector<FrameId>& tops);
  bool read(uint8_t byte, bool leaf);
  void enter(int32_t end);
  void leave();
  bool is_alone(int32_t state, FrameId below) const { return below < 0 || !a_.can_end(state); }
  void open(Level& level);
  void close(Level& level);
  void count_work(size_t width);
  void note_depth(FrameId below, int32_t state);

  const Automaton& a_;
  Stacks& stacks_;
  std::vector<Level> levels_, spare_;
  std::vector<int32_t> returns_;  // numbers of bytes
  std::vector<FrameId> read_;     // what the last byte led to, unless it is
  int32_t read_state_ = -1;       // the state of one plain stack
  FrameId read_below_ = kBottom;
  size_t read_mark_ = 0;
  int32_t deepest_ = 0;
  int64_t work_left_;
};

}  // namespace moge::grammar
