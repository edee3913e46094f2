#include "moge/grammar/masks.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <limits>
#include <string_view>
#include <utility>

#include "moge/grammar/state_classes.h"
#include "moge/grammar/trie_walk.h"
#include "moge/text/token_constraint.h"

namespace moge::grammar {

namespace {

constexpr size_t kMaxCacheBytes = size_t{16} << 20;  // of one grammar; then all is found anew
constexpr int32_t kNoBound = std::numeric_limits<int32_t>::max() / 2;

size_t bytes_of(const StateMask& mask) {
  return sizeof(StateMask) + 4 * (mask.few.size() + mask.many.size()) +
         sizeof(ByteTrie::Node) * static_cast<size_t>(mask.rest.size());
}

/// A list where that is shorter than the bits.
void keep_few(StateMask& mask) {
  size_t count = 0;
  for (const uint32_t word : mask.many) count += static_cast<size_t>(std::popcount(word));
  if (count > mask.many.size()) return;
  mask.few.reserve(count);
  for (size_t word = 0; word < mask.many.size(); ++word)
    for (uint32_t bits = mask.many[word]; bits != 0; bits &= bits - 1)
      mask.few.push_back(static_cast<int32_t>(word * 32) + std::countr_zero(bits));
  mask.many = {};
}

}  // namespace

void set_bit(std::span<uint32_t> bits, int32_t id) {
  bits[static_cast<size_t>(id) / 32] |= 1u << (id % 32);
}

StateMasks::StateMasks(const Automaton& automaton, const Vocabulary& vocabulary, Budget& budget)
    : automaton_(automaton),
      vocabulary_(vocabulary),
      classes_(classes_of(automaton, kMaxTokenBytes, budget)),
      masks_(static_cast<size_t>(*std::max_element(classes_.begin(), classes_.end())) + 1) {}

std::shared_ptr<const StateMask> StateMasks::of(int32_t state) {
  std::lock_guard lock(mutex_);
  auto& mask = masks_[static_cast<size_t>(classes_[static_cast<size_t>(state)])];
  if (mask) return mask;
  const auto found = find(state);
  if (bytes_ > kMaxCacheBytes) {
    std::fill(masks_.begin(), masks_.end(), nullptr);
    bytes_ = 0;
  }
  bytes_ += bytes_of(*found);
  return mask = found;
}

void StateMasks::prepare(double ms) {
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + std::chrono::duration<double, std::milli>(ms);
  for (int32_t s = 0; s < automaton_.num_states() && Clock::now() < until; ++s) {
    if (!automaton_.only_ends(s)) of(s);
    std::lock_guard lock(mutex_);
    if (bytes_ > kMaxCacheBytes) return;
  }
}

std::shared_ptr<const StateMask> StateMasks::find(int32_t state) const {
  auto mask = std::make_shared<StateMask>();
  const ByteTrie& tokens = vocabulary_.tokens();
  Stacks stacks(automaton_, kNoBound);
  TrieWalk walk(automaton_, stacks);
  std::vector<std::pair<std::string_view, int32_t>> rest;
  const size_t most = 2 * static_cast<size_t>(vocabulary_.size()) + 1000;
  mask->many.assign(TokenConstraint::mask_words(vocabulary_.size()), 0);
  walk.run(
      tokens, {stacks.push(state, kUnknown)},
      [&](int32_t i, int32_t end) {
        for (const int32_t id : tokens.ids_between(i, end)) set_bit(mask->many, id);
      },
      [&](int32_t i, int32_t end, const std::vector<int32_t>& depths) {
        for (const int32_t id : tokens.ids_between(i, end))
          for (const int32_t depth : depths)
            if (rest.size() <= most)
              rest.emplace_back(std::string_view(vocabulary_.text(id, /*first=*/false))
                                    .substr(static_cast<size_t>(depth)),
                                id);
      });
  mask->depth = walk.deepest();
  mask->too_many = rest.size() > most;
  if (!mask->too_many) mask->rest = ByteTrie(std::move(rest));
  keep_few(*mask);
  return mask;
}

}  // namespace moge::grammar
