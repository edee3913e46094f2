#include "moge/grammar/number.h"

#include <algorithm>
#include <compare>
#include <map>

namespace moge::grammar {

namespace {

constexpr int kDigits = 15;  // as many as a double keeps apart
constexpr int kMaxDigits = 40;

/// How the digits read so far compare to a bound's magnitude: its whole digits count as if both had
/// equally many; which has more is known at the end of the whole part.
class Comparison {
 public:
  explicit Comparison(const std::optional<NumberBounds::Bound>& bound) : bound_(bound) {}

  int after_whole_digit(int order, int index, int digit) const {
    if (!bound_ || order != 0 || index >= size(bound_->value.whole)) return order;
    return sign(digit - (bound_->value.whole[static_cast<size_t>(index)] - '0'));
  }
  int at_whole_end(int order, int digits) const {
    if (!bound_ || digits == size(bound_->value.whole)) return order;
    return sign(digits - size(bound_->value.whole));
  }
  int after_fraction_digit(int order, int index, int digit) const {
    if (!bound_ || order != 0) return order;
    const std::string& f = bound_->value.fraction;
    return sign(digit - (index < size(f) ? f[static_cast<size_t>(index)] - '0' : 0));
  }
  int at_end(int order, int fraction_digits) const {
    const bool shorter = bound_ && order == 0 && fraction_digits < size(bound_->value.fraction);
    return shorter ? -1 : order;
  }
  /// Of a number with this sign and a magnitude in this order to the bound's.
  bool admits(bool negative, int order, bool is_low) const {
    if (!bound_) return true;
    const bool bound_negative = bound_->value.negative;
    const int compared = negative != bound_negative ? (negative ? -1 : 1)
                         : negative                 ? -order
                                                    : order;
    if (compared == 0) return !bound_->open;
    return is_low == (compared > 0);
  }

 private:
  static int size(const std::string& s) { return static_cast<int>(s.size()); }
  static int sign(int x) { return (x > 0) - (x < 0); }
  const std::optional<NumberBounds::Bound>& bound_;
};

enum class Phase { kStart, kMinus, kZero, kWhole, kPoint, kFraction };

struct Place {
  Phase phase = Phase::kStart;
  bool negative = false, nonzero = false;
  int whole = 0, fraction = 0;  // digits
  int low = 0, high = 0;        // orders
  int64_t remainder = 0;
  auto operator<=>(const Place&) const = default;
};

class NumberBuilder {
 public:
  NumberBuilder(const NumberBounds& bounds, Budget& budget)
      : bounds_(bounds), budget_(budget), low_(bounds.low), high_(bounds.high) {
    for (const auto& bound : {bounds.low, bounds.high})
      if (bound)
        digits_ = std::max(
            digits_, static_cast<int>(bound->value.whole.size() + bound->value.fraction.size()));
  }

  Dfa build() {
    state_of({});
    for (size_t i = 0; i < places_.size(); ++i) {
      const Place place = places_[i];
      std::vector<Edge> edges;
      for (const char c : {'-', '.'}) add_edge(place, c, edges);
      for (char c = '0'; c <= '9'; ++c) add_edge(place, c, edges);
      dfa_.states[i].edges = std::move(edges);
    }
    return without_dead_ends(dfa_);
  }

 private:
  void add_edge(const Place& from, char c, std::vector<Edge>& edges) {
    const auto to = next(from, c);
    if (!to) return;
    const auto byte = static_cast<uint8_t>(c);
    const int32_t target = state_of(*to);
    if (!edges.empty() && edges.back().target == target && edges.back().last + 1 == byte)
      edges.back().last = byte;
    else
      edges.push_back({byte, byte, target});
  }

  int32_t state_of(const Place& place) {
    const auto [found, is_new] = ids_.try_emplace(place, static_cast<int32_t>(places_.size()));
    if (is_new) {
      budget_.spend(60);
      check(static_cast<int64_t>(places_.size()) < kMaxStates,
            "the grammar is too large: it has more than {} states", kMaxStates);
      places_.push_back(place);
      dfa_.states.push_back({.accepting = accepts(place)});
    }
    return found->second;
  }

  std::optional<Place> next(Place p, char c) const {
    if (c == '-') {
      if (p.phase != Phase::kStart) return {};
      p.phase = Phase::kMinus;
      p.negative = true;
      return p;
    }
    if (c == '.') return after_point(p);
    const int digit = c - '0';
    switch (p.phase) {
      case Phase::kStart:
      case Phase::kMinus:
        if (digit == 0) {
          p.phase = Phase::kZero;
          return p;
        }
        p.phase = Phase::kWhole;
        return after_whole_digit(p, digit);
      case Phase::kWhole:
        return after_whole_digit(p, digit);
      case Phase::kPoint:
      case Phase::kFraction:
        return after_fraction_digit(p, digit);
      case Phase::kZero:
        break;
    }
    return {};
  }

  std::optional<Place> after_whole_digit(Place p, int digit) const {
    if (p.whole == digits_) return {};
    p.low = low_.after_whole_digit(p.low, p.whole, digit);
    p.high = high_.after_whole_digit(p.high, p.whole, digit);
    ++p.whole;
    p.nonzero = true;
    if (bounds_.multiple_of) p.remainder = (p.remainder * 10 + digit) % *bounds_.multiple_of;
    return p;
  }

  std::optional<Place> after_point(Place p) const {
    const bool has_whole = p.phase == Phase::kZero || p.phase == Phase::kWhole;
    if (!has_whole || bounds_.integer || p.whole == digits_ || bounds_.max_fraction == 0) return {};
    p.phase = Phase::kPoint;
    p.low = low_.at_whole_end(p.low, p.whole);
    p.high = high_.at_whole_end(p.high, p.whole);
    return p;
  }

  std::optional<Place> after_fraction_digit(Place p, int digit) const {
    const int most = std::max(bounds_.max_fraction, 1);
    if (p.whole + p.fraction == digits_ || p.fraction == most) return {};
    p.phase = Phase::kFraction;
    p.low = low_.after_fraction_digit(p.low, p.fraction, digit);
    p.high = high_.after_fraction_digit(p.high, p.fraction, digit);
    ++p.fraction;
    p.nonzero = p.nonzero || digit != 0;
    return p;
  }

  bool accepts(Place p) const {
    if (p.phase == Phase::kZero || p.phase == Phase::kWhole) {
      p.low = low_.at_whole_end(p.low, p.whole);
      p.high = high_.at_whole_end(p.high, p.whole);
    } else if (p.phase != Phase::kFraction) {
      return false;
    }
    if (p.negative && !p.nonzero) return false;  // 0 has no sign here
    if (p.remainder != 0) return false;
    return low_.admits(p.negative, low_.at_end(p.low, p.fraction), /*is_low=*/true) &&
           high_.admits(p.negative, high_.at_end(p.high, p.fraction), /*is_low=*/false);
  }

  const NumberBounds& bounds_;
  Budget& budget_;
  Comparison low_, high_;
  int digits_ = kDigits;
  std::map<Place, int32_t> ids_;
  std::vector<Place> places_;
  Dfa dfa_;
};

}  // namespace

Decimal decimal_of(std::string_view text) {
  const std::string given(text);
  Decimal d;
  if (text.starts_with('-')) {
    d.negative = true;
    text.remove_prefix(1);
  }
  int exponent = 0;
  if (const size_t e = text.find_first_of("eE"); e != std::string_view::npos) {
    exponent = std::stoi(std::string(text.substr(e + 1)));
    text = text.substr(0, e);
  }
  const size_t point = std::min(text.find('.'), text.size());
  std::string digits(text.substr(0, point));
  if (point < text.size()) digits += text.substr(point + 1);
  const int whole = static_cast<int>(point) + exponent;
  check(whole <= kMaxDigits && whole >= -kMaxDigits, "{} is out of range: at most {} digits", given,
        kMaxDigits);
  if (whole < 0) digits.insert(0, static_cast<size_t>(-whole), '0');
  const auto split = static_cast<size_t>(std::max(whole, 0));
  if (digits.size() < split) digits.append(split - digits.size(), '0');
  d.whole = digits.substr(0, split);
  d.fraction = digits.substr(split);
  d.whole.erase(0, std::min(d.whole.find_first_not_of('0'), d.whole.size()));
  d.fraction.erase(d.fraction.find_last_not_of('0') + 1);
  if (d.whole.empty() && d.fraction.empty()) d.negative = false;
  check(d.whole.size() + d.fraction.size() <= kMaxDigits, "{} is out of range: at most {} digits",
        given, kMaxDigits);
  return d;
}

Dfa number_dfa(const NumberBounds& bounds, Budget& budget) {
  return NumberBuilder(bounds, budget).build();
}

}  // namespace moge::grammar
