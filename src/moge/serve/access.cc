#include "moge/serve/access.h"

#include <algorithm>

#include "moge/serve/api_error.h"

namespace moge::serve {

namespace {

bool is_open(std::string_view path) {
  return path == "/" || path == "/health" || path == "/v1/health" || path == "/ping";
}

std::string_view bearer_token(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() < kScheme.size()) return {};
  for (size_t i = 0; i < kScheme.size(); ++i)
    if ((authorization[i] | 0x20) != kScheme[i]) return {};
  return authorization.substr(kScheme.size());
}

}  // namespace

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  volatile unsigned difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    difference = difference | static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

void check_access(const std::vector<std::string>& keys, std::string_view path,
                  std::string_view authorization, std::string_view x_api_key) {
  if (keys.empty() || is_open(path)) return;
  const std::string_view bearer = bearer_token(authorization);
  bool known = false;  // every key is looked at, whichever fits
  for (const std::string& key : keys) {
    known |= equal_in_constant_time(bearer, key);
    known |= equal_in_constant_time(x_api_key, key);
  }
  if (!known)
    throw ApiError(401, "the API key is missing or wrong: send 'Authorization: Bearer KEY'", {},
                   "invalid_api_key")
        .with_header("WWW-Authenticate", "Bearer");
}

}  // namespace moge::serve
