#include "moge/grammar/schema_strings.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "moge/grammar/regex.h"

namespace moge::grammar {

namespace {

constexpr int64_t kEndless = std::numeric_limits<int64_t>::max();

/// Fewest and most bytes of an automaton's texts.
class Lengths {
 public:
  explicit Lengths(const Dfa& dfa)
      : dfa_(dfa), marks_(dfa.states.size()), most_(dfa.states.size()) {}

  int64_t most() { return dfa_.states.empty() ? 0 : most_from(0, 0); }

 private:
  enum class Mark : uint8_t { kNew, kOpen, kDone };

  int64_t most_from(int32_t state, int depth) {
    const auto s = static_cast<size_t>(state);
    if (marks_[s] == Mark::kOpen || depth > 4000) return kEndless;
    if (marks_[s] == Mark::kDone) return most_[s];
    marks_[s] = Mark::kOpen;
    int64_t most = 0;
    for (const Edge& edge : dfa_.states[s].edges) {
      const int64_t behind = most_from(edge.target, depth + 1);
      most = behind == kEndless ? kEndless : std::max(most, behind + 1);
      if (most == kEndless) break;
    }
    marks_[s] = Mark::kDone;
    return most_[s] = most;
  }

  const Dfa& dfa_;
  std::vector<Mark> marks_;
  std::vector<int64_t> most_;
};

int64_t count_chars(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

}  // namespace

Dfa SchemaStrings::any_contents(int32_t least, int32_t most) {
  Grammar scratch;
  const Expr any = add_chars(scratch, complement({}), /*in_json=*/true);
  return to_dfa(scratch, scratch.repeat(any, least, most), budget_);
}

const Dfa& SchemaStrings::pattern(const std::string& regex) {
  const auto found = patterns_.find(regex);
  if (found != patterns_.end()) return found->second;
  Grammar scratch;
  Expr e = -1;
  try {
    e = add_regex(scratch, regex, {.anywhere = true, .in_json = true});
  } catch (const Error& error) {
    fail("the pattern {} cannot be used: {}", regex, error.what());
  }
  return patterns_[regex] = to_dfa(scratch, e, budget_);
}

Dfa SchemaStrings::contents(const Facts& facts) {
  const bool bounded = facts.min_length > 0 || facts.max_length >= 0;
  if (facts.patterns.empty())
    return any_contents(static_cast<int32_t>(facts.min_length),
                        static_cast<int32_t>(facts.max_length));
  Dfa dfa = pattern(facts.patterns[0]);
  for (size_t i = 1; i < facts.patterns.size(); ++i)
    dfa = intersect(dfa, pattern(facts.patterns[i]), budget_);
  // A character has a byte or more: what is never longer needs no counting.
  const bool fits = facts.max_length < 0 || Lengths(dfa).most() <= facts.max_length;
  if (bounded && (!fits || facts.min_length > 0))
    dfa = intersect(dfa,
                    any_contents(static_cast<int32_t>(facts.min_length),
                                 fits ? -1 : static_cast<int32_t>(facts.max_length)),
                    budget_);
  return dfa;
}

/// One rule for all strings that are asked the same, so that they share their masks.
Expr SchemaStrings::add(const Facts& facts) {
  if (facts.max_length >= 0 && facts.max_length < facts.min_length) return grammar_.choice({});
  const bool plain = facts.patterns.empty() && facts.min_length == 0 && facts.max_length < 0;
  if (plain) return rules_.string();
  std::string key = fmt::format("{} {}", facts.min_length, facts.max_length);
  for (const std::string& regex : facts.patterns) key += '\n' + regex;
  const auto [known, is_new] = ids_.try_emplace(key, RuleId{-1});
  if (is_new) {
    known->second = grammar_.add_rule("string");
    const Expr quote = grammar_.bytes("\"");
    const Expr body = facts.patterns.empty()
                          ? rules_.string_of_length(static_cast<int32_t>(facts.min_length),
                                                    static_cast<int32_t>(facts.max_length))
                          : grammar_.sequence({quote, grammar_.automaton(contents(facts)), quote});
    grammar_.define(known->second, body);
  }
  return grammar_.call(known->second);
}

bool SchemaStrings::admits(const Facts& facts, std::string_view text) {
  const int64_t chars = count_chars(text);
  if (chars < facts.min_length || (facts.max_length >= 0 && chars > facts.max_length)) return false;
  const std::string json = spelled(text, /*in_json=*/true);
  return std::all_of(facts.patterns.begin(), facts.patterns.end(),
                     [&](const std::string& regex) { return pattern(regex).matches(json); });
}

}  // namespace moge::grammar
