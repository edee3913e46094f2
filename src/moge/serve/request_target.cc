#include "moge/serve/request_target.h"

#include <charconv>

namespace moge::serve {

namespace {

std::string_view without_host(std::string_view target) {
  const size_t scheme = target.find("://");
  if (target.starts_with('/') || scheme == std::string_view::npos) return target;
  const size_t path = target.find_first_of("/?", scheme + 3);
  return path == std::string_view::npos ? "/" : target.substr(path);
}

/// The character that %XX at `i` stands for; -1: it is none.
int escaped_at(std::string_view text, size_t i) {
  if (text[i] != '%' || i + 2 >= text.size()) return -1;
  int value = -1;
  const char* digits = text.data() + i + 1;
  const auto [end, error] = std::from_chars(digits, digits + 2, value, 16);
  return error == std::errc{} && end == digits + 2 ? value : -1;
}

}  // namespace

std::string path_of(std::string_view target) {
  target = without_host(target);
  target = target.substr(0, target.find('?'));
  std::string path;
  for (size_t i = 0; i < target.size(); ++i) {
    const int escaped = escaped_at(target, i);
    if (escaped >= 0) i += 2;
    const char c = escaped >= 0 ? static_cast<char>(escaped) : target[i];
    if (c != '/' || !path.ends_with('/')) path += c;
  }
  if (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path.empty() ? "/" : path;
}

}  // namespace moge::serve
