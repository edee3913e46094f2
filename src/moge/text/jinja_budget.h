// What one rendering may use. Templates come with a model and messages from a client, so steps,
// bytes and depth are bounded; every refusal names the template's line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace moge::text::jinja {

struct Limits {
  int64_t max_steps = 10'000'000;          // nodes visited, items walked, 256-byte pieces copied
  int64_t max_bytes = int64_t{1} << 30;    // of all values made, never given back
  int64_t max_string = int64_t{64} << 20;  // of one string, the output included
  int max_depth = 600;                     // nested nodes and macro calls
};

inline constexpr int kMaxNesting = 200;  // lists in lists, parentheses in parentheses

class Budget {
 public:
  explicit Budget(const Limits& limits) : limits_(limits) {}

  /// Counts work of `n` units.
  void step(int64_t n = 1) {
    steps_ += n;
    if (steps_ > limits_.max_steps)
      fail("the template takes more than {} steps", limits_.max_steps);
  }

  /// Counts a value of `size` bytes, and the work of filling it.
  void charge(int64_t size);

  /// Refuses a string longer than the limit before it is made.
  void check_string(int64_t size) const {
    if (size > limits_.max_string) fail("a string outgrows {} bytes", limits_.max_string);
  }

  /// Throws Error with the line that runs now.
  [[noreturn]] void fail(std::string_view sentence) const;
  [[noreturn]] void fail(std::string_view pattern, int64_t number) const;

  int line() const { return line_; }
  void set_line(int line) { line_ = line; }

 protected:
  const Limits& limits() const { return limits_; }

 private:
  Limits limits_;
  int64_t steps_ = 0, bytes_ = 0;
  int line_ = 1;
};

}  // namespace moge::text::jinja
