#include "moge/serve/api_error.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace moge::serve {

namespace {
const char* type_of(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 501:
      return "not_supported_error";
    default:
      return status >= 500 ? "server_error" : "invalid_request_error";
  }
}
}  // namespace

std::string ApiError::body(const char* type) const {
  nlohmann::ordered_json error = {
      {"message", what()}, {"type", type_of(status_)}, {"param", nullptr}, {"code", nullptr}};
  if (!param_.empty()) error["param"] = param_;
  if (!code_.empty()) error["code"] = code_;
  nlohmann::ordered_json body;
  if (*type) body["type"] = type;
  body["error"] = std::move(error);
  return body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace moge::serve
