// Errors that a user, a file, a peer or a request can cause. Thrown at the edges (ops/ shape checks
// and I/O), caught once in apps/ and once per request in serve/.
#pragma once

#include <fmt/core.h>

#include <source_location>
#include <stdexcept>
#include <string>
#include <utility>

namespace moge {

/// One clear sentence with the numbers in it; `where()` is shown by `moge -v`.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& what,
                 std::source_location where = std::source_location::current())
      : std::runtime_error(what), where_(where) {}
  const std::source_location& where() const { return where_; }

 private:
  std::source_location where_;
};

/// A wrong option or argument: exit status 2 instead of 1.
class UsageError : public Error {
 public:
  using Error::Error;
};

namespace detail {
/// A format string that remembers where it was written.
template <class... Args>
struct FormatAt {
  template <class S>
  consteval FormatAt(const S& text, std::source_location at = std::source_location::current())
      : format(text), where(at) {}
  fmt::format_string<Args...> format;
  std::source_location where;
};
}  // namespace detail

/// Throws Error with the formatted message unless `condition` holds.
/// Example: check(n == d, "[rmsnorm] weight has {} elements, want {}", n, d);
template <class... Args>
void check(bool condition, detail::FormatAt<std::type_identity_t<Args>...> message,
           Args&&... args) {
  if (!condition) [[unlikely]]
    throw Error(fmt::format(message.format, std::forward<Args>(args)...), message.where);
}

/// Throws Error with the formatted message.
template <class... Args>
[[noreturn]] void fail(detail::FormatAt<std::type_identity_t<Args>...> message, Args&&... args) {
  throw Error(fmt::format(message.format, std::forward<Args>(args)...), message.where);
}

}  // namespace moge

/// Our own mistakes; compiled in debug and sanitizer builds and in tests.
#ifdef NDEBUG
#define MOGE_ASSERT(condition) ((void)0)
#else
#include <cassert>
#define MOGE_ASSERT(condition) assert(condition)
#endif
