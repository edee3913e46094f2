#include "moge/grammar/stacks.h"

#include <algorithm>
#include <unordered_map>

namespace moge::grammar {

namespace {

/// Of one set. Ambiguous grammars could have more; those beyond are given up, which costs texts but
/// lets no wrong one through.
constexpr size_t kMaxStacks = 64;

void note_end(FrameId below, Stacks::Ends& ends) {
  (below == kBottom ? ends.bottom : ends.unknown) = true;
}

}  // namespace

FrameId Stacks::push(int32_t state, FrameId below) {
  frames_.push_back({state, below, depth(below) + 1});
  return static_cast<FrameId>(frames_.size()) - 1;
}

/// Whether two stacks are equal, frame by frame.
bool Stacks::same(FrameId a, FrameId b) const {
  if (depth(a) != depth(b)) return false;
  for (; a != b; a = below(a), b = below(b))
    if (a < 0 || b < 0 || state(a) != state(b)) return false;
  return true;
}

/// Stacks that meet again become one; of equal ones the older stays.
void Stacks::add(FrameId f, std::vector<FrameId>& set) const {
  const auto is_same = [&](FrameId other) { return same(f, other); };
  if (set.size() < kMaxStacks && std::none_of(set.begin(), set.end(), is_same)) set.push_back(f);
}

FrameId Stacks::find_or_push(int32_t state, FrameId below, size_t from) {
  for (size_t i = from; i < frames_.size(); ++i)
    if (frames_[i].state == state && frames_[i].below == below) return static_cast<FrameId>(i);
  return push(state, below);
}

/// A caller with nothing left to do leaves no frame, so that lists do not grow the stack.
void Stacks::call(FrameId top, const CallEdge& edge, size_t from, std::vector<FrameId>& tops) {
  FrameId caller = below(top);
  const int32_t start = automaton_->start(edge.rule);
  if (!automaton_->only_ends(edge.target)) {
    if (!fits(edge.target, caller)) return;
    caller = find_or_push(edge.target, caller, from);
  }
  if (fits(start, caller)) add(find_or_push(start, caller, from), tops);
}

Stacks::Ends Stacks::close(std::vector<FrameId>& tops) {
  Ends ends;
  const size_t from = mark();
  for (size_t i = 0; i < tops.size(); ++i) {
    const FrameId top = tops[i];
    if (automaton_->accepting(state(top))) {
      if (below(top) >= 0)
        add(below(top), tops);
      else
        note_end(below(top), ends);
    }
    for (const CallEdge& edge : automaton_->calls(state(top))) call(top, edge, from, tops);
  }
  return ends;
}

Stacks::Ends Stacks::settle(std::vector<FrameId>& tops) {
  Ends ends;
  for (size_t i = 0; i < tops.size(); ++i) {
    const FrameId top = tops[i];
    if (!automaton_->can_end(state(top))) continue;
    if (below(top) >= 0)
      add(below(top), tops);
    else
      note_end(below(top), ends);
  }
  std::erase_if(tops, [&](FrameId f) { return automaton_->only_ends(state(f)); });
  return ends;
}

void Stacks::read(const std::vector<FrameId>& closed, uint8_t byte, std::vector<FrameId>& out) {
  out.clear();
  const size_t from = mark();
  for (const FrameId top : closed) {
    const int32_t target = automaton_->next(state(top), byte);
    if (target >= 0 && fits(target, below(top))) add(find_or_push(target, below(top), from), out);
  }
}

void Stacks::keep_only(std::vector<FrameId>& tops) {
  std::unordered_map<FrameId, FrameId> moved;
  std::vector<Frame> kept;
  for (FrameId& top : tops) {
    std::vector<FrameId> chain;  // from the top down to what has moved already
    FrameId f = top;
    for (; f >= 0 && !moved.contains(f); f = below(f)) chain.push_back(f);
    FrameId under = f >= 0 ? moved[f] : f;
    for (size_t i = chain.size(); i-- > 0;) {
      Frame frame = frames_[static_cast<size_t>(chain[i])];
      frame.below = under;
      kept.push_back(frame);
      under = static_cast<FrameId>(kept.size()) - 1;
      moved[chain[i]] = under;
    }
    top = under;
  }
  frames_ = std::move(kept);
}

}  // namespace moge::grammar
