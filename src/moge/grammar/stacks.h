// Where a text can be in a grammar: a set of stacks, each the state of a rule on top of the places
// where its callers go on. Stacks share their lower frames.
#pragma once

#include <cstdint>
#include <vector>

#include "moge/grammar/automaton.h"

namespace moge::grammar {

using FrameId = int32_t;
inline constexpr FrameId kBottom = -1;   ///< below the root rule
inline constexpr FrameId kUnknown = -2;  ///< below what is looked at: a caller that may be any

class Stacks {
 public:
  /// `max_depth` bounds rules within rules.
  Stacks(const Automaton& automaton, int32_t max_depth)
      : automaton_(&automaton), max_depth_(max_depth) {}

  FrameId push(int32_t state, FrameId below);
  int32_t state(FrameId f) const { return frames_[static_cast<size_t>(f)].state; }
  FrameId below(FrameId f) const { return frames_[static_cast<size_t>(f)].below; }
  int32_t depth(FrameId f) const { return f < 0 ? 0 : frames_[static_cast<size_t>(f)].depth; }

  /// Whether a stack with this top can come to its end within the bound.
  bool fits(int32_t state, FrameId below) const {
    return depth(below) + 1 + automaton_->need(state) <= max_depth_;
  }

  /// Frames to go back to, after a look ahead.
  size_t mark() const { return frames_.size(); }
  void release(size_t mark) { frames_.resize(mark); }

  struct Ends {
    bool bottom = false, unknown = false;  ///< a stack has run empty
  };
  /// Adds to `tops` every stack that they become without reading: by calls and by returns.
  Ends close(std::vector<FrameId>& tops);
  /// Adds what they become by returns alone, and drops stacks that can do nothing but return.
  Ends settle(std::vector<FrameId>& tops);
  /// What closed stacks become by a byte.
  void read(const std::vector<FrameId>& closed, uint8_t byte, std::vector<FrameId>& out);
  /// Forgets all frames but those of `tops`, whose ids change.
  void keep_only(std::vector<FrameId>& tops);

 private:
  struct Frame {
    int32_t state = 0;
    FrameId below = kBottom;
    int32_t depth = 0;
  };
  bool same(FrameId a, FrameId b) const;
  void add(FrameId f, std::vector<FrameId>& set) const;
  FrameId find_or_push(int32_t state, FrameId below, size_t from);
  void call(FrameId top, const CallEdge& edge, size_t from, std::vector<FrameId>& tops);

  const Automaton* automaton_;
  int32_t max_depth_;
  std::vector<Frame> frames_;
};

}  // namespace moge::grammar
