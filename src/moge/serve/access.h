// Who may use the API: --api-key.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moge::serve {

/// Compares in a time that depends on the lengths only.
bool equal_in_constant_time(std::string_view a, std::string_view b);

/// Throws ApiError 401 unless `path` is open to all (/, /health, /v1/health, /ping), there are no
/// keys, or one of them is in `authorization` ("Bearer KEY") or `x_api_key`.
void check_access(const std::vector<std::string>& keys, std::string_view path,
                  std::string_view authorization, std::string_view x_api_key);

}  // namespace moge::serve
