// An error as OpenAI clients expect it: HTTP status and {"error": {message, type, param, code}}.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace moge::serve {

class ApiError : public std::runtime_error {
 public:
  ApiError(int status, const std::string& message, std::string param = {}, std::string code = {})
      : std::runtime_error(message),
        status_(status),
        param_(std::move(param)),
        code_(std::move(code)) {}
  int status() const { return status_; }
  const std::string& param() const { return param_; }  ///< the field's name; empty = none
  /// Name and value of a header that HTTP wants beside some statuses; empty: none.
  const std::pair<std::string, std::string>& header() const { return header_; }
  ApiError with_header(std::string name, std::string value) && {
    header_ = {std::move(name), std::move(value)};
    return std::move(*this);
  }
  /// The JSON of the answer; Anthropic's clients want a `type` beside `error`.
  std::string body(const char* type = "") const;

 private:
  int status_;
  std::string param_, code_;
  std::pair<std::string, std::string> header_;
};

}  // namespace moge::serve
